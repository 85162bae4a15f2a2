"""What a study has counted: candidates by their end, trainings, and what of the budget they used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..record.evaluation import Outcome, TrialRecord
from ..record.training import TRAINING_STAGES
from ..record.treatment import QAT

MEASURED_PER_TRIAL = 10
"""So many candidates that the gate stopped before training count as one trial of the budget."""

_WORTH_TELLING_S = 1.0


class Counters:
    """Counts trials as they end, so that one more takes no longer in a long study.

    `standing` are the candidates that were evaluated, `parts` earlier evaluations of some of them (a training
    that was paused then, and gone on with).
    """

    def __init__(self, standing: Iterable[TrialRecord] = (), parts: Iterable[TrialRecord] = ()) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._standing = self._parts = self._paused = self._measured_only = 0
        self._trained, self._used = set[str](), set[str]()
        self._asked = self._again = 0
        self._seconds = 0.0
        for record in standing:
            self.add(record)
        for record in parts:
            self._add_trainings(record)
            self._parts += 1

    def add(self, record: TrialRecord, instead_of: TrialRecord | None = None) -> None:
        """A candidate that was evaluated; from then on the evaluation that it took the place of is a part."""
        if instead_of is not None:
            self._stands(instead_of, -1)
            self._parts += 1
        self._stands(record, 1)
        self._add_trainings(record)

    def _stands(self, record: TrialRecord, one: int) -> None:
        found = record.evaluation
        self._standing += one
        self._outcomes[found.outcome] += one
        self._paused += one * found.paused
        self._measured_only += one * (found.outcome is Outcome.GATED and not found.stopped_epoch)

    def _add_trainings(self, record: TrialRecord) -> None:
        for stage in record.evaluation.stages:
            if stage.name not in TRAINING_STAGES:
                continue
            self._seconds += 0.0 if stage.cached else stage.seconds
            if stage.name == QAT:
                self._again += not stage.cached
                continue
            self._asked += 1
            self._used.add(stage.key)
            if not stage.cached:
                self._trained.add(stage.key)  # in parts or at once

    @property
    def evaluated(self) -> int:
        """Candidates that cost budget. One that was only measured counts a part, so that a search in which
        nothing meets the limits ends as well; what cannot exist on the device counts nothing."""
        whole = self._standing - self._measured_only - self._outcomes[Outcome.REFUSED]
        return whole + self._measured_only // MEASURED_PER_TRIAL

    def shown(self, *, trials: int, space: int, measured: int, waited: float = 0.0) -> dict[str, float]:
        """What reports show: `trials` are all that was answered, `measured` the candidates measured before
        anything else, `waited` the seconds in which others had the device. Of trainings: how many students
        this study trained, how often it trained one again with fake quantization, the seconds of both."""
        found: dict[str, float] = {
            "trials": trials,
            "candidates": self._standing,
            "duplicates": trials - self._standing - self._parts,
            "space": space,
            "measured": measured,
            **{outcome.value: float(self._outcomes[outcome]) for outcome in Outcome},
            "paused": self._paused,
            "trainings": len(self._trained),
            "qat_trainings": self._again,
            "training_seconds": self._seconds,
            "trainings_used": len(self._used),
            "trainings_asked": self._asked,
        }
        if waited >= _WORTH_TELLING_S:
            found["waited_seconds"] = round(waited, 1)
        return found
