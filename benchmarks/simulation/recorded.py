"""What was recorded of real trainings and devices: a search problem whose true front is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from paretune.search.ranking.pareto import hypervolume
from paretune.search.record.candidate import Candidate, Scalar
from paretune.search.record.evaluation import Objective
from paretune.search.record.limits import LimitSpec
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.space.space import Space

QUALITY, LATENCY, SIZE = "accuracy", "latency_ms", "size_bytes"
OBJECTIVES = tuple(
    Objective(metric=metric, higher_is_better=metric == QUALITY) for metric in (QUALITY, LATENCY, SIZE)
)
Student = tuple[tuple[str, Scalar], ...]
Point = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class RecordedTraining:
    """One training as it went: `kind` is "distill" or "prune", `seconds` what all its epochs took.

    `curve` has (epochs done, quality) at each rung, ascending; a training may be given up at every one that
    comes before the last epoch. `work` is in multiply-adds, None where it was not recorded.
    """

    key: str
    kind: str
    seconds: float
    epochs: int = 1
    curve: tuple[tuple[int, float], ...] = ()
    quality: float | None = None
    work: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """All that was recorded of one candidate.

    `quality` is the one on validation, with its 95 % interval where it was recorded; `hardware` maps names
    of metrics to what they truly are. `untrained` is what its network tells at once, `measured_with_it` what
    it tells when the candidate is measured. `refused` says why the candidate could not exist.
    """

    quality: float = 0.0
    quality_low: float | None = None
    quality_high: float | None = None
    hardware: Mapping[str, float] = field(default_factory=dict)
    trainings: tuple[RecordedTraining, ...] = ()
    compile_seconds: float = 0.0
    score_seconds: float = 0.0
    measure_seconds: float = 0.0
    untrained: Untrained = UNTOLD
    measured_with_it: Untrained = UNTOLD
    refused: str = ""


Lookup = Callable[[Candidate], Row | None]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recorded space: `row` has what is true of a candidate, `volume` is the hypervolume between the true
    front and `reference`, one value per objective. `noise` is the relative standard deviation of one
    measurement of latency, by the candidate's digest; none where it is missing."""

    space: Space
    row: Lookup
    objectives: tuple[Objective, ...]
    reference: Point
    volume: float
    limits: tuple[LimitSpec, ...] = ()
    noise: Mapping[str, float] = field(default_factory=dict)

    def true(self, candidate: Candidate) -> Point | None:
        row = self.row(candidate)
        return None if row is None or row.refused else point_of(row, self.objectives)

    def share(self, points: Sequence[Point]) -> float:
        return volume_of(points, self.reference, self.objectives) / self.volume

    def trainings(self) -> dict[str, RecordedTraining]:
        rows = filter(None, map(self.row, self.space.candidates()))
        return {training.key: training for row in rows for training in row.trainings}


def point_of(row: Row, objectives: Sequence[Objective]) -> Point:
    values = {QUALITY: row.quality, **row.hardware}
    return tuple(values[objective.metric] for objective in objectives)


def volume_of(points: Sequence[Point], reference: Point, objectives: Sequence[Objective]) -> float:
    return hypervolume(points, reference, [objective.higher_is_better for objective in objectives])
