"""The trials of a study: asked for, answered by what is known, told; and what stands of earlier sessions."""

from __future__ import annotations

import time
from dataclasses import dataclass

from optuna.trial import Trial

from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, TrialRecord
from ..storage.study_store import StudyStore
from .again import settled
from .counters import Counters
from .plan import SearchPlan
from .simple_choices import SimpleChoices


@dataclass(frozen=True, kw_only=True)
class AskedTrial:
    """A trial that was asked for, and when (seconds since the epoch)."""

    trial: Trial
    candidate: Candidate
    baseline: bool
    started: float


class Trials:
    """`known` are the evaluations that stand, by their candidates' digests; `again` what an earlier session
    left to be tried again; `answered` counts all trials that have ended with an evaluation."""

    def __init__(self, plan: SearchPlan, studies: StudyStore) -> None:
        self._space, self._studies, self.simple = plan.space, studies, SimpleChoices(plan.space)
        records = studies.records()
        self.known, self.again = settled(records, plan.space, plan.frame.environment)
        self.answered, self._counted = len(records), Counters(self.known.values(), self.known.parts)

    @property
    def evaluated(self) -> int:
        """Candidates that cost budget."""
        return self._counted.evaluated

    def shown(self, *, measured: int, waited: float) -> dict[str, float]:
        """What reports show, see `Counters.shown`."""
        size = self._space.size
        return self._counted.shown(trials=self.answered, space=size, measured=measured, waited=waited)

    def enqueue(self, candidate: Candidate) -> None:
        """Have a candidate asked for next."""
        self._studies.enqueue(self._space.params(candidate), baseline=candidate in self.simple)

    def ask(self, wanted: Candidate | None = None) -> AskedTrial:
        """The next trial; `wanted` is queued before."""
        with self._studies.together():
            if wanted is not None:
                self.enqueue(wanted)
            trial, candidate = self._studies.ask(self._space.suggest)
        # A simple choice is one, whoever has asked for it.
        return AskedTrial(
            trial=trial, candidate=candidate, baseline=candidate in self.simple, started=time.time()
        )

    def known_already(self, candidate: Candidate) -> TrialRecord | None:
        """The evaluation that stands in place of another one; None where there is none, or it was paused."""
        earlier = self.known.get(candidate.digest)
        return None if earlier is None or earlier.evaluation.paused else earlier

    def answer(self, asked: AskedTrial, earlier: TrialRecord) -> TrialRecord:
        """End a trial by what is known of its candidate."""
        self.answered += 1
        return self._studies.tell_duplicate(asked.trial, earlier, asked.started)

    def tell(self, asked: AskedTrial, evaluation: Evaluation) -> TrialRecord:
        """End a trial by its own evaluation."""
        record = self._studies.tell(asked.trial, evaluation, asked.started)
        self._counted.add(record, self.known.get(evaluation.candidate.digest))
        self.known.put(record)
        self.answered += 1
        return record
