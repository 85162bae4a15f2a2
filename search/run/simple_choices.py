"""The simple choices of a study: which are left, and how many of them it can afford."""

from __future__ import annotations

from collections.abc import Container

from ..record.candidate import Candidate
from ..space.space import Space
from .budget import Budget

SIMPLE_SHARE = 0.5
"""Of the budget, that simple choices may use beyond the usual ones while there is something to search."""


class SimpleChoices:
    """The simple choices of a space, the usual ones first."""

    def __init__(self, space: Space) -> None:
        self._all, self._usual = space.baselines(), space.usual_choices()
        self._digests = frozenset(candidate.digest for candidate in self._all)

    def __contains__(self, candidate: Candidate) -> bool:
        return candidate.digest in self._digests

    def untried(self, known: Container[str]) -> tuple[Candidate, ...]:
        """Those that were not evaluated; `known` are digests."""
        return tuple(candidate for candidate in self._all if candidate.digest not in known)

    def usual(self, known: Container[str]) -> tuple[Candidate, ...]:
        """The usual ones among those that were not evaluated."""
        return tuple(candidate for candidate in self._usual if candidate.digest not in known)


def affordable(budget: Budget, evaluated: int) -> bool:
    """Whether simple choices may take more of the budget: the search itself wants the other half."""
    trials, seconds = budget.trials, budget.seconds
    return (trials is None or evaluated < SIMPLE_SHARE * trials) and (
        seconds is None or budget.elapsed_seconds < SIMPLE_SHARE * seconds
    )
