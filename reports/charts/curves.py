"""Learning curves of a study's trainings: quality on validation over the epochs, each training once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from ...search.record.evaluation import StageRecord, StudyRecord, TrialRecord
from ...search.record.training import needed, trainings_met
from ..content.trainings import own_trials


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One training: `points` are (share of its epochs, quality on validation in PyTorch).

    `number` is a trial that met it, `stopped` says that it was given up at the last point.
    """

    key: str
    number: int
    kind: str
    title: str
    points: tuple[tuple[float, float], ...]
    stopped: bool


def learning_curves(record: StudyRecord) -> tuple[Curve, ...]:
    """The longest curve of every training; one that was finished later was not stopped."""
    found: dict[str, Curve] = {}
    for trial in own_trials(record):
        for stage in trainings_met(trial.evaluation):
            curve = _curve(trial, stage)
            before = found.get(stage.key)
            if curve is not None and (before is None or _order(curve) > _order(before)):
                found[stage.key] = curve
    return tuple(found.values())


def _order(curve: Curve) -> tuple[int, bool]:
    return len(curve.points), not curve.stopped


def _curve(trial: TrialRecord, stage: StageRecord) -> Curve | None:
    points = [(epochs, quality) for epochs, quality in stage.curve if isfinite(quality)]
    training = next((t for t in needed(trial.evaluation.candidate) if t.kind == stage.name), None)
    if not points or training is None:
        return None
    return Curve(
        key=stage.key,
        number=trial.number,
        kind=stage.name,
        title=training.title,
        points=_shares(points, training.epochs),
        stopped=trial.evaluation.stopped_epoch > 0 and stage is trainings_met(trial.evaluation)[-1],
    )


def _shares(points: Sequence[tuple[int, float]], epochs: int) -> tuple[tuple[float, float], ...]:
    whole = max(epochs, points[-1][0], 1)
    return tuple((done / whole, quality) for done, quality in points)
