"""Which trainings a candidate needs, and what those of a study took: read from the record alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...search.record.candidate import Candidate, Recipe, Scalar
from ...search.record.evaluation import StageRecord, StudyRecord, TrialRecord

DISTILL, PRUNE = "distill", "prune"
TRAINING_STAGES = (DISTILL, PRUNE)
QAT = "qat"  # a rung of the ladder, never given up half way


@dataclass(frozen=True, kw_only=True)
class NeededTraining:
    """One training that candidates share: a student distilled, or a model pruned and fine-tuned."""

    kind: str
    student: tuple[tuple[str, Scalar], ...]
    sparsity: str
    recipe: Recipe

    @property
    def title(self) -> str:
        """ "width=0.5, channel:0.3"."""
        model = " ".join(f"{axis}={value}" for axis, value in self.student) or "teacher"
        return model if self.kind == DISTILL else f"{model}, {self.sparsity}"

    @property
    def epochs(self) -> int:
        """How many epochs the whole training has."""
        return self.recipe.epochs if self.kind == DISTILL else self.recipe.finetune_epochs


def own_trials(record: StudyRecord) -> Iterator[TrialRecord]:
    """The trials that evaluated something, without those that an earlier one has answered."""
    return (trial for trial in record.trials if trial.duplicate_of is None)


def needed(candidate: Candidate) -> tuple[NeededTraining, ...]:
    """The trainings that lead to a candidate, in order; none for the teacher as it is."""
    if candidate.recipe is None:
        return ()
    kinds = [(DISTILL, "dense")] if candidate.student else []
    kinds += [(PRUNE, candidate.sparsity)] if candidate.sparsity != "dense" else []
    return tuple(
        NeededTraining(kind=kind, student=candidate.student, sparsity=sparsity, recipe=candidate.recipe)
        for kind, sparsity in kinds
    )


def training_stages(trial: TrialRecord) -> tuple[StageRecord, ...]:
    """The trainings that an evaluation met, in order; the last one was given up where it was stopped."""
    return tuple(stage for stage in trial.evaluation.stages if stage.name in TRAINING_STAGES)


def trainings_done(trial: TrialRecord) -> int:
    """How many trainings a trial did to the end, beside those that it took from the store."""
    met = training_stages(trial)
    return sum(not stage.cached for stage in (met[:-1] if trial.evaluation.stopped_epoch else met))


def last_training_seconds(trial: TrialRecord) -> float:
    """Seconds spent on the last training that an evaluation met; on the one given up where it was stopped."""
    met = training_stages(trial)
    return met[-1].seconds if met and not met[-1].cached else 0.0


def training_seconds(trial: TrialRecord) -> float:
    """Seconds that a trial spent on training itself, also on training it for its precision."""
    if trial.duplicate_of is not None:
        return 0.0
    learnt = (stage for stage in trial.evaluation.stages if stage.name in (*TRAINING_STAGES, QAT))
    return sum(stage.seconds for stage in learnt if not stage.cached)
