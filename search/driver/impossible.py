"""What cannot be, whatever else is chosen: known beforehand, or learned from failures that repeat."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..record.agreement import STAGE, Agreement
from ..record.candidate import Candidate
from ..record.evaluation import EVERY_BACKEND, Evaluation, Masked, Outcome, TrialRecord
from ..space.space import Student

ENOUGH = 2
"""So many different models (or, of the teacher, candidates) that fail alike tell that all of them would."""
_WRONG = (STAGE, "")
_NAMES_AND_NUMBERS = re.compile(r"'[^']*'|\"[^\"]*\"|\S*[/_.:]\S*|\d+")


@dataclass(frozen=True, kw_only=True)
class _Class:
    """Candidates that share a backend and a precision, or that share a student and a sparsity."""

    backend: str = ""
    precision: str = ""
    student: Student = ()
    sparsity: str = ""

    def has(self, candidate: Candidate) -> bool:
        if self.backend:
            return (self.backend, self.precision) == (candidate.backend, str(candidate.precision))
        return (self.student, self.sparsity) == (candidate.student, candidate.sparsity)


class Impossible:
    """Classes of candidates of which nothing can come. Learns from every trial of a study.

    A failure counts for the backend and precision where different models fail alike, and for the model
    where it is refused alike in different precisions or on different backends. One success in a class
    keeps it open; where a device computes wrongly, one that it computes rightly does. Of models with
    sparsity, nothing is taken for dense ones. `students` cannot be for a reason that is known already;
    `masked` has what was learned. `lacking` says of what there is no time for, though it could be, why that
    is so, and `beyond` why a candidate is none of the study's.
    """

    def __init__(
        self,
        students: Mapping[Student, str] | None = None,
        lacking: Callable[[Candidate], str] = lambda candidate: "",
        beyond: Callable[[Candidate], str] = lambda candidate: "",
    ) -> None:
        self._students, self._lacking, self._beyond = dict(students or {}), lacking, beyond
        self._classes: dict[_Class, str] = {}
        self._failed: dict[tuple[_Class, tuple[str, str]], dict[object, int]] = defaultdict(dict)
        self._possible: set[_Class] = set()
        self._right: set[_Class] = set()
        self._wrong: dict[_Class, Agreement] = {}
        self.masked: tuple[Masked, ...] = ()

    def reason(self, candidate: Candidate) -> str:
        """Why nothing can come of the candidate; empty where something may."""
        found = self._beyond(candidate) or self._students.get(candidate.student, "")
        found = found or next((why for of, why in self._classes.items() if of.has(candidate)), "")
        return found or self._lacking(candidate)

    def holds(self, candidate: Candidate) -> bool:
        """Whether nothing can come of the candidate."""
        return bool(self.reason(candidate))

    def refusal(self, candidate: Candidate) -> Evaluation | None:
        """The end of a candidate of which nothing can come, without any work; None where something may."""
        why = self.reason(candidate)
        outcome = Outcome.GATED if why and why == self._lacking(candidate) else Outcome.REFUSED
        wrong = next((one for of, one in self._wrong.items() if of.has(candidate)), None)
        return Evaluation(candidate=candidate, outcome=outcome, reason=why, agreement=wrong) if why else None

    def learn(self, record: TrialRecord) -> bool:
        """Take in a trial that has ended; whether a class is masked from here on, because of it."""
        evaluation, before = record.evaluation, len(self.masked)
        candidate = evaluation.candidate
        runtime = _Class(backend=candidate.backend, precision=str(candidate.precision))
        model = _Class(student=candidate.student, sparsity=candidate.sparsity)
        if evaluation.outcome in (Outcome.COMPLETE, Outcome.GATED):
            self._possible |= {runtime, model}
        if evaluation.outcome is Outcome.COMPLETE:
            self._right.add(runtime)
        kind = None if self.holds(candidate) else _kind(evaluation)
        if kind is not None and candidate.sparsity == "dense":
            whose = (candidate.student, candidate.digest if candidate.is_teacher else "")
            self._count(runtime, kind, whose, record)
        if kind is not None and evaluation.outcome is Outcome.REFUSED and not candidate.is_teacher:
            self._count(model, kind, runtime, record)
        return len(self.masked) > before

    def _count(self, of: _Class, kind: tuple[str, str], whose: object, record: TrialRecord) -> None:
        failed = self._failed[of, kind]
        failed.setdefault(whose, record.number)
        evaluation = record.evaluation
        if len(failed) < ENOUGH or of in (self._right if kind == _WRONG else self._possible):
            return
        if evaluation.agreement is not None:
            self._wrong[of] = evaluation.agreement
        cause = evaluation.reason or f"{evaluation.stage}: {evaluation.cause}"
        trials = ", ".join(f"#{number}" for number in failed.values())
        why = self._classes[of] = f"{cause} (so it was for {trials})"
        row = Masked(backend=of.backend or EVERY_BACKEND, what=of.precision or _title(of), reason=why)
        self.masked = (*self.masked, row)


def _title(of: _Class) -> str:
    student = " ".join(f"{name}={value}" for name, value in of.student) or "teacher"
    return student if of.sparsity == "dense" else f"{student} {of.sparsity}"


def _kind(evaluation: Evaluation) -> tuple[str, str] | None:
    """The stage, and the cause without names and numbers; None where the failure is the candidate's own: it
    runs, but not well enough, or something from outside ended it."""
    ended = evaluation.outcome in (Outcome.REFUSED, Outcome.FAILED)
    if not ended or evaluation.disagrees or evaluation.try_again:
        return None
    if evaluation.agreement is not None and not evaluation.agreement.agrees:
        return _WRONG
    cause = evaluation.reason or evaluation.cause
    return evaluation.stage, _NAMES_AND_NUMBERS.sub("", cause)
