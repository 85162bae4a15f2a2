"""The one place that trains: students distilled, pruned and fine-tuned, or trained on while quantizing.

Each result is kept in the store, so no pair of student and recipe is ever trained twice on one store,
whatever precision, backend or device it is tried with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from ....profiles.errors import StageError, UnsupportedError, UserError
from ....profiles.files import write_whole
from ....profiles.guard.user_code import UserCodeError
from ...record.candidate import Candidate, Recipe
from ...record.protocols import Decision, Milestone, MilestoneJudge
from ...record.training import DISTILL, PRUNE
from ...record.treatment import QAT, QatPlan
from ...store.store import Entry, Store
from ..network.reproducible import reproducible
from ..training.checkpoint import History
from ..training.loop import Control, Data, Watch, first_look, never_stops, steps_of, train
from .base import Note
from .lessons import Lessons
from .needed_trainings import Step, Trainings, training_plan
from .networks import Student, student_title
from .starts import Start, Starts


@dataclass(frozen=True, kw_only=True)
class ChosenStart:
    """Which of two starts a training takes, and why. `seconds` were spent by earlier calls, where known."""

    fresh: bool
    notes: tuple[str, ...] = ()
    seconds: float | None = None


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
        choice = self._choice(step, base, data, judge, into)
        start, history = self._run(step, base, data, judge, into, fresh=choice.fresh)
        best = {} if history.best_epoch is None else {"best_epoch": history.best_epoch}
        ended = dict(start.end())
        for remark in ended.get("remarks", ()):
            self.control.note(f"{step.candidate.title}: {remark}")
        notes = (*ended.get("notes", ()), *choice.notes)
        return {
            "quality": {"validation": history.curve[-1][1]},
            "losses": history.losses,
            "curve": history.curve,
            "earlier_seconds": history.earlier_seconds if choice.seconds is None else choice.seconds,
            **best,
            **ended,
            **({"notes": notes} if notes else {}),
            **self.networks.written(start.model, into),
        }

    def _run(
        self,
        step: Step,
        base: Entry | None,
        data: Data,
        judge: MilestoneJudge,
        into: Path,
        *,
        fresh: bool = False,
        until: int = 0,
    ) -> tuple[Start, History]:
        """Train from one of the two starts, up to the epoch `until` (0: to the end)."""
        start = self.starts.of(step, base, steps_of(step.plan, len(data)), into, fresh=fresh)

        def asked(milestone: Milestone) -> Decision | None:
            # What stands still is started anew, and says nothing about how the other start would end.
            return None if until and self.lessons.at_chance(start.model) else judge(milestone)

        watch = Watch(
            key=step.key,
            kind=step.kind,
            quality=start.quality,
            judge=asked,
            higher_is_better=self.networks.metric.higher_is_better,
        )
        control = replace(self.control, saved=partial(self.store.keep_work, step.kind, step.key))
        name = "checkpoint-fresh.pt" if fresh else "checkpoint.pt"
        checkpoint = self.store.workdir(step.kind, step.key) / name
        with reproducible(step.plan.seed, self.networks.threads):
            args = (start.model, data, step.plan, checkpoint, control, start.masks, watch)
            return start, train(*args, until=until)

    def _choice(
        self, step: Step, base: Entry | None, data: Data, judge: MilestoneJudge, into: Path
    ) -> ChosenStart:
        """Which start a student takes that is cut out of its teacher: untrained weights where those of the
        teacher stand still after a third of the epochs, and these do not. It is written down, so that a later
        call goes on with the same."""
        look = first_look(step.plan.epochs)
        if base is not None or not look or not self.networks.is_derived(step.candidate.student):
            return ChosenStart(fresh=False)
        path = self.store.workdir(step.kind, step.key) / "start.json"
        with suppress(OSError, ValueError, LookupError, TypeError):  # what cannot be read is chosen again
            known = json.loads(path.read_text())
            return ChosenStart(fresh=bool(known["fresh"]), notes=tuple(map(str, known["notes"])))
        start, history = self._run(step, base, data, judge, into, until=look)
        choice, seconds = ChosenStart(fresh=False), history.earlier_seconds
        with reproducible(step.plan.seed, self.networks.threads):
            stuck = not history.ended and self.lessons.at_chance(start.model)
        if stuck:
            still = f"stands still after {look} epochs, the other start is tried"
            self.control.note(f"{step.candidate.title}: {still}")
            other, history = self._run(step, base, data, judge, into, fresh=True, until=look)
            seconds += history.earlier_seconds
            choice = self._compared(start, other, f"after {look} of {step.plan.epochs} epochs")
        write_whole(path, json.dumps(asdict(choice)))
        self.store.keep_work(step.kind, step.key)
        return replace(choice, seconds=seconds)

    def _compared(self, cut: Start, fresh: Start, when: str) -> ChosenStart:
        """The start that is ahead; of two that are level, the weights of the teacher."""
        with reproducible(0, self.networks.threads):
            found = {name: start.quality(start.model) for name, start in (("cut", cut), ("fresh", fresh))}
        metric = self.networks.metric
        kept = metric.better(found["fresh"], found["cut"])
        title = "untrained weights" if kept else "the teacher's weights"
        note = (
            f"started from {title}: the teacher's stood still ({metric.name} {found['cut']:.4g} {when}, "
            f"{found['fresh']:.4g} from untrained ones)"
        )
        return ChosenStart(fresh=kept, notes=(note,))

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
        except UserCodeError:
            raise
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
