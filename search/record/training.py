"""What names a training, which ones a candidate needs, and which of them an evaluation met."""

from __future__ import annotations

from dataclasses import dataclass

from .candidate import Candidate, Recipe, Scalar
from .evaluation import Evaluation, StageRecord, StudyRecord
from .treatment import QAT

DISTILL, PRUNE = "distill", "prune"
TRAINING_STAGES = (DISTILL, PRUNE, QAT)
"""Names of stages that train. The last trains on for a precision, as a rung of the ladder."""
TUNE = "tune"
"""The stage that searches schedules for a structure, which may take as long as a training."""

TrainingKey = tuple[tuple[tuple[str, Scalar], ...], str, Recipe | None]


def training_key(candidate: Candidate) -> TrainingKey:
    """What candidates share that have the same trained model."""
    return candidate.student, candidate.sparsity, candidate.recipe


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


def needed(candidate: Candidate) -> tuple[NeededTraining, ...]:
    """The trainings that lead to a candidate, in order; none for the teacher as it is."""
    student, sparsity, recipe = training_key(candidate)
    if recipe is None:
        return ()
    kinds = [(DISTILL, "dense")] if student else []
    kinds += [(PRUNE, sparsity)] if sparsity != "dense" else []
    return tuple(
        NeededTraining(kind=kind, student=student, sparsity=removed, recipe=recipe) for kind, removed in kinds
    )


def trainings_met(evaluation: Evaluation) -> tuple[StageRecord, ...]:
    """The trainings of `needed` that an evaluation met, in order. The last was given up where it stopped."""
    return tuple(stage for stage in evaluation.stages if stage.name in (DISTILL, PRUNE))


def trainings_ended(evaluation: Evaluation) -> tuple[StageRecord, ...]:
    """Those of them that came to their end."""
    met = trainings_met(evaluation)
    return met[:-1] if evaluation.stopped_epoch else met


def went_on(record: StudyRecord) -> dict[int, int]:
    """Numbers of trials whose training was paused and gone on with -> that of the candidate's next trial."""
    found: dict[int, int] = {}
    paused: dict[str, int] = {}
    for trial in record.trials:
        if trial.duplicate_of is None:
            digest = trial.evaluation.candidate.digest
            if digest in paused:
                found[paused.pop(digest)] = trial.number
            if trial.evaluation.paused:
                paused[digest] = trial.number
    return found
