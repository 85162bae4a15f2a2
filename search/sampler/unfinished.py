"""Trainings on their way: what their curves tell of their ends, and what is left of them to be paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..record.evaluation import Evaluation, StageRecord
from ..record.protocols import Milestone
from ..record.quality import QualityScale
from ..record.training import needed, trainings_ended, trainings_met
from ..surrogates.curve_ends import CurveEnds, Distances, End, Point
from .costs import Costs, PendingTrainings


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A training that stands after `done` epochs, with the goodness that it has there. `hopeless`: even an
    optimistic end could not reach the front when it was paused."""

    kind: str
    key: str
    done: int
    epochs: int
    goodness: float
    hopeless: bool = False


class UnfinishedTrainings:
    """Learns from trials how trainings went, and hands on what they cost and what is left of them."""

    def __init__(self, scale: QualityScale, pending: PendingTrainings, costs: Costs) -> None:
        self._scale, self._pending, self._costs = scale, pending, costs
        self._curves = CurveEnds()
        self._spent: dict[str, float] = {}
        self._at: dict[str, Unfinished] = {}
        self._paused: dict[str, Unfinished] = {}
        self.telling: set[str] = set()  # kinds of trainings that came to a milestone
        for training in {one.key: one for trainings in pending.needed for one in trainings}.values():
            if training.curve:
                whole = max(1, training.curve[-1][0])
                self._learn_curve(training.kind, training.key, training.curve, whole, ended=True)

    # -- learning ------------------------------------------------------------------------------------

    def learn(self, evaluation: Evaluation) -> None:
        """Take in the trainings that a trial met."""
        epochs = {training.kind: training.epochs for training in needed(evaluation.candidate)}
        ended = trainings_ended(evaluation)
        for stage in ended:
            self._finish(stage, epochs.get(stage.name, 0))
        for stage in trainings_met(evaluation)[len(ended) :]:
            if evaluation.paused and stage.curve:
                self._pause(stage, epochs.get(stage.name, 0), hopeless=evaluation.bound is not None)
            else:
                self._pending.give_up(stage.key)

    def _finish(self, stage: StageRecord, epochs: int) -> None:
        spent = self._spent.pop(stage.key, 0.0)
        if not stage.cached:
            work = self._pending.work(stage.key)
            self._costs.learn_training(stage.name, stage.key, spent + stage.seconds, work)
        self._pending.finish(stage.key)
        self._at.pop(stage.key, None)
        self._paused.pop(stage.key, None)
        if stage.curve:
            whole = max(epochs, stage.curve[-1][0], 1)
            self._learn_curve(stage.name, stage.key, stage.curve, whole, ended=True)

    def _pause(self, stage: StageRecord, epochs: int, *, hopeless: bool) -> None:
        spent = self._spent[stage.key] = self._spent.get(stage.key, 0.0) + stage.seconds
        whole = max(epochs, stage.curve[-1][0], 1)
        found = self._stand(stage.name, stage.key, stage.curve, whole, hopeless=hopeless)
        self._paused[stage.key] = found
        if found.done:
            work = self._pending.work(stage.key)
            self._costs.learn_training(stage.name, stage.key, spent * whole / found.done, work)

    def reach(self, milestone: Milestone) -> Unfinished:
        """A training that is under way has come to a milestone."""
        self.telling.add(milestone.kind)
        return self._stand(milestone.kind, milestone.key, milestone.curve, milestone.epochs)

    def _stand(
        self, kind: str, key: str, curve: Sequence[Point], epochs: int, *, hopeless: bool = False
    ) -> Unfinished:
        done, quality = curve[-1]
        found = Unfinished(
            kind=kind,
            key=key,
            done=done,
            epochs=epochs,
            goodness=self._scale.goodness(quality),
            hopeless=hopeless,
        )
        self._at[key] = found
        self._pending.reach(key, done / epochs)
        self._learn_curve(kind, key, curve, epochs)
        return found

    def _learn_curve(
        self, kind: str, key: str, curve: Sequence[Point], epochs: int, *, ended: bool = False
    ) -> None:
        points = [(done, self._scale.goodness(quality)) for done, quality in curve]
        self._curves.learn(kind, key, points, epochs, ended=ended)

    # -- what follows --------------------------------------------------------------------------------

    def paused_at(self, milestone: Milestone) -> bool:
        """Whether the training was paused just there: whoever asks for it now wants it to go on."""
        found = self._paused.get(milestone.key)
        return found is not None and found.done == milestone.curve[-1][0]

    def ends(self, scale: Distances) -> Iterator[tuple[int, Unfinished, End]]:
        """Each model whose last training stands at a milestone, and where that is expected to end."""
        for key, training in self._at.items():
            end = self._curves.end(training.kind, key, scale)
            if end is not None:
                for model in self._pending.ending_with(key):
                    yield model, training, end

    def made_of(self, training: Unfinished) -> tuple[int, ...]:
        """Models that are trained further from its end."""
        ending = self._pending.ending_with(training.key)
        return tuple(one for one in self._pending.waiting_for(training.key) if one not in ending)

    def end_of(self, training: Unfinished, scale: Distances) -> End | None:
        """Where one is expected to end."""
        return self._curves.end(training.kind, training.key, scale)

    def finished(self, kind: str) -> int:
        """How many trainings of a kind are known to their end."""
        return self._curves.finished(kind)

    def paused_models(self, *, hopeless: bool = False) -> list[int]:
        """Models that wait for a paused training; only those of hopeless ones."""
        keys = [key for key, one in self._paused.items() if one.hopeless or not hopeless]
        return sorted({model for key in keys for model in self._pending.waiting_for(key)})

    def __bool__(self) -> bool:
        return bool(self._at)
