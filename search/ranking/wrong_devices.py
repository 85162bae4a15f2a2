"""What a reader must know of a device that computes wrongly: which runtimes and precisions, how often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ...profiles.words import joined, listed
from ..record.agreement import MEND_DEVICE, Agreement, versions_text
from ..record.candidate import Candidate
from ..record.evaluation import Outcome, StudyRecord


@dataclass(frozen=True, kw_only=True)
class CheckedArtifact:
    """One artifact whose outputs on the device were held against those here; `later`: among the finalists."""

    number: int
    candidate: Candidate
    agreement: Agreement
    later: bool = False


def checked_artifacts(record: StudyRecord) -> tuple[CheckedArtifact, ...]:
    """All of a study, what computes wrongly first; a finalist that failed by now counts as that."""
    found = {one.number: one for one in _checked(record)}
    return tuple(sorted(found.values(), key=lambda one: (one.agreement.agrees, one.number)))


def _checked(record: StudyRecord) -> Iterator[CheckedArtifact]:
    trials = {trial.number: trial for trial in record.trials if trial.duplicate_of is None}
    for number, trial in trials.items():
        refused = trial.evaluation.outcome is Outcome.REFUSED  # for others of its runtime and precision
        if trial.evaluation.agreement is not None and not refused:
            candidate, agreement = trial.evaluation.candidate, trial.evaluation.agreement
            yield CheckedArtifact(number=number, candidate=candidate, agreement=agreement)
    for one in record.unconfirmed:
        if one.agreement is not None and one.number in trials:
            candidate = trials[one.number].evaluation.candidate
            yield CheckedArtifact(number=one.number, candidate=candidate, agreement=one.agreement, later=True)


def wrong_device_lines(record: StudyRecord) -> tuple[str, ...]:
    """A sentence for each runtime and precision of which the device computes wrongly, with what to do."""
    groups: dict[tuple[str, str], list[CheckedArtifact]] = defaultdict(list)
    for one in checked_artifacts(record):
        groups[one.candidate.backend, str(one.candidate.precision)].append(one)
    return tuple(
        _line(backend, precision, ones)
        for (backend, precision), ones in groups.items()
        if not all(one.agreement.agrees for one in ones)
    )


def _line(backend: str, precision: str, ones: list[CheckedArtifact]) -> str:
    wrong = [one for one in ones if not one.agreement.agrees]
    worst = max(wrong, key=lambda one: one.agreement.off)
    numbers = listed([f"#{one.number}" for one in wrong])
    which = numbers if len(wrong) == 1 else f"{numbers}; #{worst.number}"
    versions = joined(list(dict.fromkeys(versions_text(one.agreement).strip(" ()") for one in wrong)))
    device = worst.agreement.device or "the device"
    return (
        f"{device} computes wrongly: {backend} {precision} gives other outputs there than it should for "
        f"{len(wrong)} of {len(ones)} artifacts that were compared ({which}: {worst.agreement.why}). "
        f"{f'Versions: {versions}. ' if versions else ''}None of them is recommended, and none says anything "
        f"about its model. What to do: {MEND_DEVICE}. `--again` then tries them once more."
    )
