"""The one place that trains: students distilled, pruned and fine-tuned, or trained on while quantizing.

Each result is kept in the store, so no pair of student and recipe is ever trained twice on one store,
whatever precision, backend or device it is tried with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from ....profiles.errors import StageError, UnsupportedError, UserError
from ...record.candidate import Candidate, Recipe
from ...record.protocols import MilestoneJudge
from ...record.training import DISTILL, PRUNE
from ...record.treatment import QAT, QatPlan
from ...store.store import Entry, Store
from ..network.reproducible import reproducible
from ..training.loop import Control, Data, Watch, never_stops, steps_of, train
from .base import Note
from .lessons import Lessons
from .needed_trainings import Step, Trainings, training_plan
from .networks import Student, student_title
from .starts import Starts


class Trainer:
    """Trains what `trainings` names. `control` is asked and told after every epoch."""

    def __init__(self, lessons: Lessons, trainings: Trainings, store: Store, control: Control) -> None:
        self.lessons, self.trainings, self.store, self.control = lessons, trainings, store, control
        self.networks, self.teacher, self.starts = lessons.networks, lessons.teacher, Starts(lessons)

    def trained(
        self,
        candidate: Candidate,
        note: Note = lambda entry: None,
        judge: MilestoneJudge = never_stops,
        qat: QatPlan | None = None,
    ) -> Entry:
        """The candidate's trained weights; read them with `load`. Its backend and calibration are not read.

        `note` is told each entry on the way, and `judge` may end a training on its way. With `qat` they are
        trained on with fake quantization: one such training serves every backend whose quantizer finds the
        grid again (see `fake_quantize`).

        `meta` has `quality` by split (validation; in PyTorch), `parameters`, `macs`, `losses` by epoch,
        `curve` (pairs of epochs done and quality on validation, the last one at the end), `earlier_seconds`
        (spent by calls that were interrupted or stopped), `remarks` (sentences on a teacher that this student
        puts in doubt), for sparse models `zeros` (share by layer) and `notes`, and where the recipe has a
        patience `best_epoch` (of the weights kept); for `qat` see `Starts`.

        Raises:
            Interrupted: training was asked to stop; it goes on from the last epoch when called again.
            TrainingStopped: the judge gave a training up; it goes on from that milestone when called again.
            StageError: the loss became not finite.
            UnsupportedError: the model cannot be pruned in this way, or comes from an earlier version.
        """
        _refuse_old(candidate.recipe)
        step = self.trainings.last(candidate, qat)
        if step is None:
            found = self.teacher.entry()
        else:
            found = self.store.get(step.kind, step.key) or self._made(step, note, judge)
        note(found)
        return found

    def _made(self, step: Step, note: Note, judge: MilestoneJudge) -> Entry:
        # Not within `_train`: the seconds of what comes before are not those of this training.
        base = self.trained(step.start, note, judge) if step.start else None
        data = self.lessons.data(step.recipe, note)
        make = partial(self._train, step, base, data, judge)
        return self.store.produce(step.kind, step.key, self._provenance(step), make)

    def _train(
        self, step: Step, base: Entry | None, data: Data, judge: MilestoneJudge, into: Path
    ) -> dict[str, Any]:
        start = self.starts.of(step, base, steps_of(step.plan, len(data)), into)
        higher = self.networks.metric.higher_is_better
        watch = Watch(
            key=step.key, kind=step.kind, quality=start.quality, judge=judge, higher_is_better=higher
        )
        checkpoint = self.store.workdir(step.kind, step.key) / "checkpoint.pt"
        with reproducible(step.plan.seed, self.networks.threads):
            history = train(start.model, data, step.plan, checkpoint, self.control, start.masks, watch)
        best = {} if history.best_epoch is None else {"best_epoch": history.best_epoch}
        return {
            "quality": {"validation": history.curve[-1][1]},
            "losses": history.losses,
            "curve": history.curve,
            "earlier_seconds": history.earlier_seconds,
            **best,
            **start.end(),
            **self.networks.written(start.model, into),
        }

    def _provenance(self, step: Step) -> Mapping[str, Any]:
        of_kind: dict[str, dict[str, Any]] = {
            DISTILL: {"student": dict(step.candidate.student), "recipe": step.recipe},
            PRUNE: {"sparsity": step.candidate.sparsity, "recipe": step.recipe},
            QAT: {"plan": asdict(step.qat) if step.qat else {}, "training": asdict(step.plan)},
        }
        base = {"base": step.base} if step.base else {"teacher": self.teacher.key}
        return self.networks.provenance(**base, **of_kind[step.kind])

    def load(self, entry: Entry, candidate: Candidate) -> nn.Module:
        """The model of a trained candidate, see `Starts.load`."""
        return self.starts.load(entry, candidate)

    def without_teacher(self, candidate: Candidate, note: Note = lambda entry: None) -> Entry:
        """The same student trained by the same recipe on the labels alone, for the gain that the teacher
        brings: compare its `quality` with that of `trained`. Kept like every training.

        Raises:
            UnsupportedError: the workload's own loss decides what the teacher says, or nothing is trained.
            Interrupted, StageError: as `trained`.
        """
        if callable(self.networks.loaded.workload.loss):
            raise UnsupportedError(
                "the gain over training without the teacher is not known: the workload's own loss decides "
                "what the teacher is asked"
            )
        if candidate.recipe is None:
            raise UnsupportedError(f"{candidate.title} is not trained, so nothing is gained by its training")
        untaught = replace(candidate.recipe, distill_weight=0.0)
        return self.trained(replace(candidate, recipe=untaught), note)

    def try_steps(self, model: nn.Module, student: Student, recipe: Recipe) -> None:
        """Train in place for up to three steps.

        Raises:
            UserError: they fail, or the loss is not finite.
        """
        split = self.networks.loaded.splits.train.head(3 * recipe.batch)
        data = self.lessons.first_data(split)
        plan = replace(training_plan(DISTILL, recipe, 1), patience=0)
        try:
            with reproducible(recipe.seed, self.networks.threads):
                train(model, data, plan, None, Control())
        except (StageError, RuntimeError) as error:
            raise UserError(
                f"the first training steps failed: {error}",
                place=f"student {student_title(student)}, train[:{len(split)}]",
                remedy="lower training.learning_rate, check the scale of the inputs, or correct the model",
            ) from error


def _refuse_old(recipe: Recipe | None) -> None:
    if recipe is not None and recipe.order != Recipe.order:
        raise UnsupportedError(f"models of the order {recipe.order} are not made any more")
    if recipe is not None and recipe.hidden_weight:
        raise UnsupportedError("students are not trained on hidden states any more")
