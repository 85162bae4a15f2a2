"""The simple choices of a study, and which of them are left."""

from __future__ import annotations

from collections.abc import Container

from ..record.candidate import Candidate
from ..space.space import Space


class SimpleChoices:
    """The simple choices of a space, the usual ones first."""

    def __init__(self, space: Space) -> None:
        # Digests take a while, and what is left is asked for before every proposal.
        self._all = tuple((candidate, candidate.digest) for candidate in space.baselines())
        self._usual = tuple((candidate, candidate.digest) for candidate in space.usual_choices())
        self._digests = frozenset(digest for _, digest in self._all)

    def __contains__(self, candidate: Candidate) -> bool:
        return candidate.digest in self._digests

    def is_usual(self, candidate: Candidate) -> bool:
        """Whether everybody tries it first."""
        return any(candidate == usual for usual, _ in self._usual)

    def untried(self, known: Container[str]) -> tuple[Candidate, ...]:
        """Those that were not evaluated; `known` are digests."""
        return tuple(candidate for candidate, digest in self._all if digest not in known)

    def usual(self, known: Container[str]) -> tuple[Candidate, ...]:
        """The usual ones among those that were not evaluated."""
        return tuple(candidate for candidate, digest in self._usual if digest not in known)
