"""What a reader must know before the answer: how far the search has come, and what works against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ...profiles.words import duration, joined
from ..record.evaluation import Quantity, StudyRecord
from ..record.stops import ALL_EVALUATED, INTERRUPTED
from .fallbacks import fallback_warnings
from .sentences import gain_text
from .slowed import slowed_warnings
from .wrong_devices import wrong_device_lines


def unfinished_line(record: StudyRecord) -> str:
    """How much of the search is behind an answer that more of it may change; empty once it has ended."""
    done = sum(trial.duplicate_of is None for trial in record.trials)
    if record.stopped not in ("", INTERRUPTED):
        return _only_simple_line(record, done)
    parts = [f"{done} of {record.budget_trials} trials" if record.budget_trials else f"{done} trials"]
    if record.budget_seconds:
        spent = sum(trial.seconds for trial in record.trials)
        parts.append(f"{duration(spent)} of {duration(record.budget_seconds)}")
    how = "interrupted" if record.stopped else "the search has not ended"
    return f"Provisional: {', '.join(parts)}, {how}."


def _only_simple_line(record: StudyRecord, done: int) -> str:
    """A budget that ends with the simple choices leaves nothing searched."""
    if record.stopped == ALL_EVALUATED or not all(trial.evaluation.baseline for trial in record.trials):
        return ""
    return f"Provisional: {done} simple choices were tried and nothing else, since {record.stopped}."


def ended_line(record: StudyRecord) -> str:
    """What an ended search looked at, and why it ended; empty for one that has not."""
    if record.stopped in ("", INTERRUPTED):
        return ""
    tried = [trial.evaluation for trial in record.trials if trial.duplicate_of is None]
    ends = Counter(evaluation.outcome.value for evaluation in tried)
    parts = [f"{count} {outcome}" for outcome, count in ends.most_common()]
    simple = sum(evaluation.baseline for evaluation in tried)
    return (
        f"{len(tried)} candidates ({', '.join(parts)}), {simple} of them simple choices; the search ended: "
        f"{record.stopped}."
    )


def warnings(record: StudyRecord, recommended: int | None = None) -> tuple[str, ...]:
    """A device that computes wrongly or was slowed down, what makes candidates worse than they need be, and
    what of the recommended one falls back, with the remedy."""
    return (
        *wrong_device_lines(record),
        *harm_lines(record, {f.number: f.distillation_gain for f in record.finalists}),
        *slowed_warnings(record, recommended),
        *fallback_warnings(record, recommended),
    )


def harm_lines(record: StudyRecord, gains: Mapping[int, Quantity | None]) -> tuple[str, ...]:
    """Finalists whose training would have been better without the teacher, beyond error."""
    harmed: dict[str, list[str]] = {}  # several finalists may share a student
    for number, gain in gains.items():
        if gain is not None and gain.ends[1] < 0:
            harmed.setdefault(gain_text(record, gain), []).append(f"#{number}")
    return tuple(
        f"Distillation harms {joined(numbers)}: {text}. Train without the teacher: "
        "`distill: {weight: [0]}` under `space` in the study file."
        for text, numbers in harmed.items()
    )
