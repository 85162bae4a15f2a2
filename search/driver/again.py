"""What stands of an earlier session when a study goes on, and what is tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..record.agreement import Agreement
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome, TrialRecord
from ..space.space import Space
from ..storage.trial_records import attempts

ATTEMPTS = 3
"""A candidate in whose evaluation the whole process died so often is given up."""


class Answered(dict[str, TrialRecord]):
    """The evaluations that stand, by their candidates' digests. `parts` are those that a later one of the
    same candidate goes on from, or takes the place of."""

    def __init__(self, records: Sequence[TrialRecord] = ()) -> None:
        super().__init__()
        self.parts: list[TrialRecord] = []
        for record in records:
            if record.duplicate_of is None:
                self.put(record)

    def put(self, record: TrialRecord) -> None:
        """Take in an evaluation."""
        before = self.get(record.evaluation.candidate.digest)
        if before is not None:
            self.parts.append(before)
        self[record.evaluation.candidate.digest] = record


def settled(
    records: Sequence[TrialRecord], space: Space, environment: Mapping[str, Any] | None = None
) -> tuple[Answered, tuple[Candidate, ...]]:
    """The evaluations that stand, and the candidates to be tried again.

    A failure that tells nothing about its candidate does not stand. Nor does any end of the reference but a
    complete one: without it there is no study, and whatever broke it may be mended by now. The same holds for
    what a device computed wrongly; and where its runtime has another version by now (`environment` is what
    the device tells), what was scored and measured there was another runtime.
    """
    reference, known = space.baselines()[0].digest, Answered(records)
    open_ones = [d for d, record in known.items() if _tried_again(record, d == reference, environment or {})]
    again = [known.pop(digest) for digest in open_ones]
    known.parts += again
    candidates = (record.evaluation.candidate for record in again)
    return known, tuple(candidate for candidate in candidates if candidate in space)


def is_open(records: Sequence[TrialRecord], environment: Mapping[str, Any]) -> bool:
    """Whether a candidate is left to be tried again for its own sake: also of an ended study. A device that
    computed wrongly with the versions that it still has is not asked again by itself."""
    ends = [record.evaluation for record in Answered(records).values()]
    others = [one.agreement for one in ends if one.agreement is not None]
    return any(one.try_again for one in ends) or any(not _same_versions(one, environment) for one in others)


def _tried_again(record: TrialRecord, is_reference: bool, environment: Mapping[str, Any]) -> bool:
    evaluation = record.evaluation
    if evaluation.agreement is not None and not _stands(evaluation.agreement, environment):
        return True
    return evaluation.try_again or (is_reference and evaluation.outcome is not Outcome.COMPLETE)


def _stands(agreement: Agreement, environment: Mapping[str, Any]) -> bool:
    """Whether the device computed rightly, and its runtime has still those versions."""
    return agreement.agrees and _same_versions(agreement, environment)


def _same_versions(agreement: Agreement, environment: Mapping[str, Any]) -> bool:
    """Whether the device has the versions that it had, as far as it tells them."""
    now = environment.get("packages") or {}
    return all(now.get(name, version) == version for name, version in agreement.there.items())


def given_up(attributes: Mapping[str, Any], candidate: Candidate) -> Evaluation | None:
    """How a trial with these attributes ends where the whole process died in it too often."""
    if attempts(attributes) < ATTEMPTS:
        return None
    cause = f"Paretune itself was killed {ATTEMPTS} times while it evaluated this candidate"
    return Evaluation(candidate=candidate, outcome=Outcome.FAILED, stage="driver", cause=cause)
