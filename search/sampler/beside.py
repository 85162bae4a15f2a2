"""With workers to spare: is anything worth beginning beside what is under way?"""

from __future__ import annotations

from .policy import Policy

SHARE_BESIDE_ONE = 0.05
"""What is trained beside another has to promise such a share of what that does per second; beside several so
many times this of what the best of them does, up to all of it. Else its worker waits for what they tell: the
more is under way, the more of what is to be known comes without it."""
MOST_UNHEARD = 3
"""Nothing is begun to be trained beside so many trainings of which nothing has been heard: the first
milestone comes after a quarter, and tells most of what there is to know."""


def waits(policy: Policy) -> bool:
    """Whether nothing is worth proposing before something that is under way has ended. The first designs are
    begun at once, after what else came first, since that tells what candidates cost on the device; what is
    predicted from them is begun when they have ended."""
    flight = policy.knowledge.flight
    if not flight:
        return False
    if not policy.anything(policy.knowledge.open()):
        return True
    if not len(flight):
        return False
    if policy.starting:
        return _simple_choices_under_way(policy)
    return not policy.started or _too_early(policy)


def _simple_choices_under_way(policy: Policy) -> bool:
    """Forms of models that are known; none that have to be tuned, which may take as long as a training."""
    known = policy.knowledge
    rows = known.flight.rows()
    return any(int(known.pool.models[row]) in known.scored for row in rows[~known.untuned()[rows]])


def _too_early(policy: Policy) -> bool:
    """Whether the best would have to be trained, and what is under way is to tell something first."""
    flight, best = policy.knowledge.flight, policy.best()
    least = min(1.0, SHARE_BESIDE_ONE * len(flight)) * flight.promised
    if best is None:
        return least > 0
    if not policy.untrained(best.row):
        return False
    return best.rate < least or flight.unheard(policy.knowledge.unfinished.telling) >= MOST_UNHEARD
