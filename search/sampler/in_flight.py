"""What workers are at: candidates and hardware classes of which nothing more is asked until they end."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from ..record.arrays import Flags, Integers
from ..record.candidate import Candidate
from .costs import PendingTrainings
from .pool import Pool


class InFlight:
    """Candidates that are being evaluated, and others that are only being measured. Nobody else is to train
    what one of the first kind trains, nor to measure what any of them measures."""

    def __init__(self, pool: Pool, trainings: PendingTrainings) -> None:
        self._pool, self._trainings = pool, trainings
        self._evaluated: dict[Candidate, list[int]] = {}  # and the models that wait for it
        self._promised: dict[Candidate, float] = {}
        self._measured: dict[Candidate, None] = {}
        self._unheard: dict[Candidate, frozenset[str]] = {}  # and the kinds of its trainings
        self._news = False
        self._held: Flags | None = None  # until something begins or ends

    def __len__(self) -> int:
        """How many are being evaluated."""
        return len(self._evaluated)

    def __bool__(self) -> bool:
        return bool(self._evaluated or self._measured)

    @property
    def measurements(self) -> int:
        """How many are only being measured."""
        return len(self._measured)

    @property
    def promised(self) -> float:
        """The most that one of those that are being evaluated is expected to gain per second."""
        return max(self._promised.values(), default=0.0)

    def promise(self, candidate: Candidate, rate: float) -> None:
        """What one of them is expected to gain per second, as it stands now."""
        if candidate in self._evaluated:
            self._promised[candidate] = rate

    def unheard(self, kinds: Collection[str]) -> int:
        """How many are trained of which nothing has been heard yet, where trainings of these kinds tell
        something on their way."""
        return sum(not waiting.isdisjoint(kinds) for waiting in self._unheard.values())

    def hear(self, candidate: Candidate) -> None:
        """A training has come to a milestone; the first that is heard of it is news."""
        self._news = self._unheard.pop(candidate, None) is not None or self._news

    def news(self) -> bool:
        """Whether there is any since this was asked last."""
        found, self._news = self._news, False
        return found

    def begin(self, candidate: Candidate, rate: float) -> None:
        """A candidate is being evaluated from now on, which is expected to gain so much per second."""
        row = self._pool.row.get(candidate)
        model = None if row is None else int(self._pool.models[row])
        held = [] if model is None else self._trainings.held_up_by(model)
        self._evaluated[candidate], self._promised[candidate] = held, rate
        if model is not None:
            self._unheard[candidate] = self._trainings.untold(model)
        self._held = None

    def begin_measurement(self, candidate: Candidate) -> None:
        """A candidate is being measured with untrained weights."""
        self._measured[candidate] = None

    def end(self, candidate: Candidate) -> None:
        """An evaluation has ended, or was given up."""
        self._evaluated.pop(candidate, None)
        self._promised.pop(candidate, None)
        self._unheard.pop(candidate, None)
        self._held = None

    def end_measurement(self, candidate: Candidate) -> None:
        """A measurement has ended, or was given up."""
        self._measured.pop(candidate, None)

    def held(self) -> Flags:
        """[rows] that are being evaluated, or need a training that is under way."""
        if self._held is None:
            models = sorted({model for models in self._evaluated.values() for model in models})
            self._held = np.isin(self._pool.models, np.array(models, dtype=np.int64))
            self._held[self.rows()] = True
        return self._held

    def rows(self, without: int | None = None) -> Integers:
        """The rows that are being evaluated; without one of them."""
        return np.array([row for row in self._rows(self._evaluated) if row != without], dtype=np.int64)

    def models(self) -> Integers:
        """The models of these rows."""
        found: Integers = self._pool.models[self.rows()]
        return found

    def classes(self) -> set[int]:
        """Hardware classes that are being measured, with trained weights or without."""
        rows = self._rows((*self._evaluated, *self._measured))
        return {int(self._pool.classes[row]) for row in rows}

    def _rows(self, candidates: Iterable[Candidate]) -> list[int]:
        return [self._pool.row[one] for one in candidates if one in self._pool.row]
