"""What the teacher brought: finalists' students against the same training on the labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

from ...profiles.errors import StageError, UnsupportedError
from ..ranking.known import trial_of
from ..record.candidate import Candidate
from ..record.evaluation import Quantity, StudyRecord
from ..record.stops import Interrupted
from ..record.training import TrainingKey, training_key
from .side_effects import gain_of

if TYPE_CHECKING:
    from ..stages.models.base import Models
    from ..stages.models.trainer import Trainer

STUDENTS = 3
SHARE, SECONDS = 0.10, 60.0
"""Together these trainings may cost a share of the study's training time; so many seconds at least."""


def distillation_gains(
    record: StudyRecord, numbers: Sequence[int], models: Models, seconds: float = inf
) -> dict[int, Quantity]:
    """By trial number: quality on validation in PyTorch, minus that of the same training without the teacher.

    `numbers` are looked at in order. Students that were not distilled are passed over; so is whatever would
    cost too much (more than `seconds` in all, say), and all that come after `STUDENTS` different ones.
    """
    from ..stages.models.torch_models import TorchModels

    if not isinstance(models, TorchModels):
        return {}
    left = min(seconds, max(SECONDS, SHARE * record.counters.get("training_seconds", 0.0)))
    gains: dict[TrainingKey, Quantity | None] = {}
    found: dict[int, Quantity] = {}
    for number in numbers:
        candidate = trial_of(record, number).evaluation.candidate
        if candidate.recipe is None or candidate.recipe.distill_weight <= 0:
            continue
        student = training_key(candidate)
        if student not in gains and len(gains) < STUDENTS:
            cost = _cost(models, candidate)
            if cost > left:
                continue
            left -= cost
            models.progress.stage(f"training {candidate.title} without the teacher, for comparison")
            gains[student] = _gain(models.trainer, candidate)
        gain = gains.get(student)
        if gain is not None:
            found[number] = gain
    return found


def _cost(models: Models, candidate: Candidate) -> float:
    """Seconds that the candidate's own trainings took; what was never trained costs too much."""
    trainings = models.trainings(candidate)
    if not all(training.done and training.seconds is not None for training in trainings):
        return float("inf")
    return sum(training.seconds or 0.0 for training in trainings)


def _gain(trainer: Trainer, candidate: Candidate) -> Quantity | None:
    """None where it cannot be told: the training failed, or was interrupted."""
    networks = trainer.networks
    split = networks.loaded.splits.validation
    try:
        entries = (trainer.trained(candidate), trainer.without_teacher(candidate))
        taught, alone = (networks.for_metric(trainer.load(entry, candidate), split) for entry in entries)
        return gain_of(taught, alone, split.labels, networks.metric)
    except (Interrupted, StageError, UnsupportedError):
        return None
