"""With workers to spare: is anything worth beginning beside what is under way?"""

from __future__ import annotations

from .policy import Policy

SHARE = 0.3
"""What is trained beside others has to promise such a share of what the best of these does per second: else
its worker waits for what they tell."""


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
    return not policy.started or _promises_too_little(policy, SHARE * flight.promised)


def _simple_choices_under_way(policy: Policy) -> bool:
    """Forms of models that are known; none that have to be tuned, which may take as long as a training."""
    known = policy.knowledge
    rows = known.flight.rows()
    return any(int(known.pool.models[row]) in known.scored for row in rows[~known.untuned()[rows]])


def _promises_too_little(policy: Policy, rate: float) -> bool:
    """Whether the best would have to be trained, and is expected to gain less per second than this."""
    best = policy.best()
    if best is None:
        return rate > 0
    return best.rate < rate and policy.untrained(best.row)
