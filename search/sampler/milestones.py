"""At a milestone of a training: go on with it, or pause it since something else is expected to bring more?"""

from __future__ import annotations

import numpy as np

from ...profiles.words import duration
from ..record.arrays import Integers
from ..record.candidate import Candidate
from ..record.protocols import Decision, Milestone
from .policy import Policy
from .unfinished import Unfinished

STAY = 5.0
"""Another candidate has to promise so many times as much per second. A training that ends is worth more than
is reckoned here: a quality that is known, to the model as well, and other forms that cost seconds. In the
digits space 1.5 and 3 cost training time, 6 saved it."""


def pause_at(policy: Policy, candidate: Candidate, milestone: Milestone) -> Decision | None:
    """Why the training is to be paused; None: go on. The first designs are always trained to their end where
    there is time for it, since all else is learned from them."""
    known = policy.knowledge
    known.flight.hear(candidate)
    row = known.pool.row.get(candidate)
    known_training = np.isfinite(milestone.curve[-1][1]) and known.trainings.waiting_for(milestone.key)
    if row is None or not known_training:
        return None
    training = known.unfinished.reach(milestone)
    late = _too_late(policy, milestone)
    if late is not None:
        return late
    others = policy.others(row)
    if not policy.started or others is None:
        return None
    rates = policy.expectation.rates(_waiting(policy, milestone.key, row), without=row)
    rate, other = float(rates.max()), others[1]
    known.flight.promise(candidate, rate)
    if rate * STAY >= other:
        return None
    times = other / rate if rate > 0 else np.inf
    return Decision(reason=_words(policy, training, others[0], times), pause=True)


def _too_late(policy: Policy, milestone: Milestone) -> Decision | None:
    """A training that would not end in the time that is left: others may."""
    left, done = policy.knowledge.seconds_left(), milestone.curve[-1][0]
    needed = (milestone.epochs - done) * (milestone.pace or 0.0)
    if needed <= left:
        return None
    return Decision(
        reason=f"after {done} of {milestone.epochs} epochs it would take another {duration(needed)}, and "
        f"{duration(left)} of the time are left",
        pause=True,
        late=True,
    )


def _waiting(policy: Policy, key: str, row: int) -> Integers:
    """Rows that wait for a training, that of the candidate among them."""
    known = policy.knowledge
    rows = np.isin(known.pool.models, known.trainings.waiting_for(key)) & known.left()
    rows[row] = True
    return np.flatnonzero(rows)


def _words(policy: Policy, training: Unfinished, other: int, times: float) -> str:
    scale, expectation = policy.knowledge.scale, policy.expectation
    end = policy.knowledge.unfinished.end_of(training, expectation.distances)
    assert end is not None
    value, low, high = (scale.text(scale.goodness(g)) for g in expectation.within(end))
    promised = f"{times:.2g} times as much" if times < 100 else "far more"
    return (
        f"{scale.title} {scale.text(scale.goodness(training.goodness))} after {training.done} of "
        f"{training.epochs} epochs, expected to end at {value} ({low} to {high}); "
        f"{policy.candidate(other).title} promises {promised} per second"
    )
