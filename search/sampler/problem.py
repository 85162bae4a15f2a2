"""What a sampler is told of a search before it begins, and what it may ask while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Protocol

from ..record.candidate import Candidate
from ..record.evaluation import Limit, Objective
from ..record.protocols import NeededTrainings
from ..record.quality import QualityScale
from ..space.space import Space


class SearchPart(str, Enum):
    """What a search rests on beside axes and the device; each can be left out to see what it brings."""

    STRUCTURE = "structure"  # features of networks that need no data, and which compute the same
    PROXIES = "proxies"  # what one batch at initialization tells
    STARTS = "starts"  # the first designs are chosen by what untrained networks tell
    CURVES = "curves"  # trainings are paused and continued by what their curves promise
    VARIANTS = "variants"  # of a trained model are tried by their gain; else all before a training


def endless() -> float:
    """Seconds that are left where there is no end."""
    return inf


class CandidateFacts(NeededTrainings, Protocol):
    """What a sampler may ask about candidates, beside the trials."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The study's limits; empty until the teacher was measured, where they depend on it."""

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        """The best quality that it can have, from less compressed relatives; None where nothing bounds it."""

    def worth_tuning(self, candidate: Candidate) -> bool:
        """Whether a candidate that has to be tuned may reach the front at all, by what is known now."""

    def doubtful(self, candidate: Candidate) -> bool:
        """Whether its weights may matter to what it costs on the device."""


@dataclass(frozen=True, kw_only=True)
class EarlierQuality:
    """A quality that another study found, with the extra variance that it deserves."""

    candidate: Candidate
    quality: float
    noise: float


@dataclass(frozen=True, kw_only=True)
class SearchProblem:
    """What is searched: `scale` is that of the metric that training decides, one of the objectives or only
    limited.

    `reference` names values that are of no use any more, by metric: the corner of the hypervolume. Left out,
    it is taken from the limits and from what the uncompressed teacher has. `earlier` are results of other
    studies. `tuning` has the backends that have to be tuned before anything can be measured, with the seconds
    that one tuning may take. `without` names parts that are left out.
    """

    space: Space
    objectives: tuple[Objective, ...]
    scale: QualityScale
    reference: Mapping[str, float] = field(default_factory=dict)
    earlier: tuple[EarlierQuality, ...] = ()
    tuning: Mapping[str, float] = field(default_factory=dict)
    without: frozenset[SearchPart] = frozenset()
