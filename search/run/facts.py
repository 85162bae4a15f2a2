"""Answers to what the hardware-first sampler asks, from an evaluator and the gate."""

from __future__ import annotations

from ..gate.gate import Gate
from ..record.candidate import Candidate
from ..record.evaluation import Limit
from ..record.protocols import CandidateEvaluator, Training


class StudyFacts:
    """Facts of a running study; see `knowledge.Facts`."""

    def __init__(self, evaluator: CandidateEvaluator, gate: Gate | None) -> None:
        self._evaluator, self._gate = evaluator, gate

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The study's limits, as soon as the teacher's values are known."""
        return self._evaluator.limits

    def trains(self, candidate: Candidate) -> bool:
        """Whether the candidate needs training beyond the teacher's own."""
        return self._evaluator.trains(candidate)

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """The trainings that it needs, with those that are done."""
        return self._evaluator.trainings(candidate)

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        """The best quality that it can have, from the gate's bounds."""
        found = None if self._gate is None else self._gate.bounds.ceiling(candidate, macs)
        return None if self._gate is None or found is None else self._gate.scale.goodness(found.goodness)
