"""What an evaluation is expected to cost, in seconds: only what is not done yet counts."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ..record.arrays import Floats
from ..record.evaluation import Evaluation, Outcome
from ..record.protocols import GUESS_RATE, Training
from ..record.training import TRAINING_STAGES, TUNE
from ..record.treatment import QAT

GUESS_TRAINING, GUESS_DEVICE = 60.0, 2.0
"""Seconds, before anything was seen."""
SHRINK = 0.3
"""The law of costs is drawn towards "proportional to the root of the work" with so much weight."""


class Costs:
    """Learns from stages that ran; see `training` and `device`."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, tuple[float | None, float]]] = defaultdict(dict)
        self._total, self._count = 0.0, 0  # of `_seen`
        self._device: list[float] = []  # in order, as are these
        self._measure: list[float] = []
        self._tune: list[float] = []

    def learn_training(self, kind: str, key: str, seconds: float, work: float | None) -> None:
        """A training that came to its end; `work` in multiply-adds, None where it was not counted."""
        if seconds > 0:
            before = self._seen[kind].get(key)
            self._total += seconds - (before[1] if before else 0.0)
            self._count += before is None
            self._seen[kind][key] = (work, seconds)

    def learn_device(self, evaluation: Evaluation) -> None:
        """Compiling, scoring and measuring of a candidate, without what the ladder tried on it."""
        device = [s for s in evaluation.stages if s.name not in (*TRAINING_STAGES, TUNE)]
        spent = sum(stage.seconds for stage in device if not stage.cached)
        spent -= sum(rung.seconds for rung in evaluation.ladder if rung.name != QAT)
        if evaluation.outcome is Outcome.COMPLETE and spent > 0:
            insort(self._device, spent)
        for stage in evaluation.stages:
            if stage.name == TUNE and not stage.cached and stage.seconds > 0:
                insort(self._tune, stage.seconds)

    def learn_measurement(self, seconds: float) -> None:
        """A measurement with untrained weights, compiling included."""
        if seconds > 0:
            insort(self._measure, seconds)

    @property
    def device(self) -> float:
        """Compiling, scoring and measuring one candidate."""
        return _middle(self._device) if self._device else GUESS_DEVICE

    @property
    def measurement(self) -> float:
        """Measuring one candidate with untrained weights."""
        return _middle(self._measure) if self._measure else self.device

    def tuning(self, most: float) -> float:
        """Tuning one candidate, which may take so long: what is known of other models makes it shorter."""
        return min(most, _middle(self._tune)) if self._tune else most

    @property
    def trained(self) -> float:
        """Seconds of all trainings seen, each once."""
        return self._total

    @property
    def typical_training(self) -> float:
        """The mean of the trainings seen; 0 where none was."""
        return self._total / self._count if self._count else 0.0

    def training(self, kind: str, work: Floats) -> Floats:
        """Seconds of trainings: a power law of the work, fitted to those of the kind (else to all).

        Where the work is not known (NaN), the mean of what was seen.
        """
        seen = list((self._seen.get(kind) or self._any()).values())
        mean = float(np.mean([s for _, s in seen])) if seen else GUESS_TRAINING
        pairs = [(w, s) for w, s in seen if w]
        if not pairs and not np.isnan(work).all():
            middle = float(np.nanmedian(work))
            pairs = [(middle, middle / GUESS_RATE)]
        if not pairs:
            return np.full(work.shape, mean)
        law = _power_law(pairs, work)
        unknown = mean if seen else float(np.nanmedian(law)) if not np.isnan(law).all() else mean
        return np.where(np.isnan(work), unknown, law)

    def _any(self) -> dict[str, tuple[float | None, float]]:
        return {key: value for kind in self._seen.values() for key, value in kind.items()}


def _middle(ordered: Sequence[float]) -> float:
    """The median of numbers in order."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _power_law(pairs: Sequence[tuple[float, float]], work: Floats) -> Floats:
    """seconds = a * work^b with b between 0 and 1, near 1/2 as long as little is known."""
    logs = np.log(np.array(pairs))
    x, y = logs[:, 0] - logs[:, 0].mean(), logs[:, 1] - logs[:, 1].mean()
    slope = (x @ y + SHRINK * 0.5) / (x @ x + SHRINK)
    slope = min(1.0, max(0.0, float(slope)))
    found: Floats = np.exp(logs[:, 1].mean() + slope * (np.log(work) - logs[:, 0].mean()))
    return found


class PendingTrainings:
    """Which trainings each model still needs. `given_up` [models] marks those that were stopped."""

    def __init__(self, needed: Sequence[tuple[Training, ...]]) -> None:
        self.needed = list(needed)
        self.given_up = np.zeros(len(needed), dtype=bool)
        self._places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        steps = max((len(trainings) for trainings in needed), default=0)
        self._pending = np.zeros((len(needed), steps), dtype=bool)
        self._left = np.ones((len(needed), steps))  # of each training, as a share of its epochs
        self._work = np.full((len(needed), steps), np.nan)
        self._kinds: list[str] = []
        self._kind = np.full((len(needed), steps), -1)  # place of each training's kind
        for number, trainings in enumerate(needed):
            for step, training in enumerate(trainings):
                self._places[training.key].append((number, step))
                self._pending[number, step] = not training.done
                self._work[number, step] = training.work or np.nan
                if training.kind not in self._kinds:
                    self._kinds.append(training.kind)
                self._kind[number, step] = self._kinds.index(training.kind)

    def finish(self, key: str) -> None:
        """A training came to its end."""
        for place in self._places.get(key, ()):
            self._pending[place] = False

    def reach(self, key: str, share: float) -> None:
        """A training has come so far, as a share of its epochs."""
        for place in self._places.get(key, ()):
            self._left[place] = 1.0 - share

    def untold(self, model: int) -> frozenset[str]:
        """Kinds of the trainings that it still needs, where none of these has come to a milestone yet."""
        steps = [step for step in range(len(self.needed[model])) if self._pending[model, step]]
        if any(self._left[model, step] < 1 for step in steps):
            return frozenset()
        return frozenset(self.needed[model][step].kind for step in steps)

    def waiting_for(self, key: str) -> list[int]:
        """Models that need a training."""
        return [number for number, _ in self._places.get(key, ())]

    def ending_with(self, key: str) -> list[int]:
        """Models whose last training it is."""
        return [number for number, step in self._places.get(key, ()) if step == len(self.needed[number]) - 1]

    def give_up(self, key: str) -> None:
        """A training was stopped; whatever needs it will not come."""
        for number, _ in self._places.get(key, ()):
            self.given_up[number] = True

    def work(self, key: str) -> float | None:
        """Multiply-adds of a training, where they were counted."""
        for place in self._places.get(key, ()):
            if not np.isnan(self._work[place]):
                return float(self._work[place])
        return None

    def sharing(self, model: int) -> list[int]:
        """Models that need one of the trainings that this one needs, itself included."""
        keys = [training.key for training in self.needed[model]]
        return sorted({number for key in keys for number, _ in self._places[key]} | {model})

    def held_up_by(self, model: int) -> list[int]:
        """Models that need one of the trainings of this one that are not done; none where all are."""
        steps = enumerate(self.needed[model])
        keys = [training.key for step, training in steps if self._pending[model, step]]
        return sorted({number for key in keys for number in self.waiting_for(key)})

    def seconds(self, costs: Costs, macs: Floats) -> Floats:
        """[models] expected seconds of what is pending. `macs` [models] stand in for work not counted: it is
        taken to be as many times the multiply-adds as it is for models where both are known."""
        total = np.zeros(len(self.needed))
        for place, kind in enumerate(self._kinds):
            of_kind = self._kind == place
            if not (of_kind & self._pending).any():
                continue
            ratios = (self._work / macs[:, None])[of_kind]
            known = ratios[~np.isnan(ratios)]
            guess = macs[:, None] * (np.median(known) if len(known) else np.nan)
            work = np.where(np.isnan(self._work), guess, self._work)
            # All kinds' work is handed over: where none of this kind was counted, the others give a scale.
            seconds = costs.training(kind, work if not np.isnan(work[of_kind]).all() else self._work)
            seconds = np.where(np.isnan(seconds), np.nanmedian(seconds), seconds)
            total += np.where(of_kind & self._pending, seconds * self._left, 0.0).sum(axis=1)
        return total
