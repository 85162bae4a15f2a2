"""Why one trial was tried, what it was expected to be, and how far its training went, for `explain`."""

from __future__ import annotations

from ...profiles.words import duration
from ...search.ranking.known import searched_metrics
from ...search.ranking.sentences import difference_text, name_of, quantity_text
from ...search.record.evaluation import (
    Audited,
    Bound,
    Outcome,
    Proposal,
    StageRecord,
    StudyRecord,
    TrialRecord,
)
from ...search.record.metrics import metric_info
from .search_story import way


def proposal_lines(record: StudyRecord, trial: TrialRecord) -> list[str]:
    """Why it was proposed, and what was predicted against what was found."""
    proposal = trial.evaluation.proposal
    if proposal is None:
        return []
    expected = [f"a hypervolume {_percent(proposal.gain)} larger"] if proposal.gain is not None else []
    expected += [f"{duration(proposal.seconds)} of work"] if proposal.seconds is not None else []
    lines = [f"proposed {way(proposal.by)}" + (f"; expected: {', '.join(expected)}" if expected else "")]
    return [f"- {line}" for line in [*lines, *_predicted(record, trial, proposal)]]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _predicted(record: StudyRecord, trial: TrialRecord, proposal: Proposal) -> list[str]:
    predicted = proposal.quality
    if predicted is None:
        return []
    title = metric_info(record.quality).title.lower()
    line = f"predicted {title}: {quantity_text(record.quality, predicted)}"
    found = searched_metrics(trial).get(record.quality)
    if found is None:
        return [line]
    off = difference_text(record.quality, abs(found.value - predicted.value))
    side = "above" if found.value >= predicted.value else "below"
    held = ""
    if predicted.low is not None and predicted.high is not None:
        inside = predicted.low <= found.value <= predicted.high
        held = ", inside the interval" if inside else ", outside of the interval"
    shown = metric_info(record.quality).format(found.value)
    return [f"{line}; found: {shown}, {off} {side} the prediction{held}"]


def gate_lines(record: StudyRecord, trial: TrialRecord) -> list[str]:
    """What the gate decided from, who beats the candidate, and what an audit found."""
    bound = trial.evaluation.bound
    lines = [_bound(record, bound, trial.evaluation.reason)] if bound is not None else []
    audited = next((a for a in record.audit if a.number == trial.number), None)
    return lines + ([_audited(record, audited)] if audited is not None else [])


def _bound(record: StudyRecord, bound: Bound, reason: str) -> str:
    info = metric_info(record.quality)
    best = f"{info.title} could be {info.format(bound.value)} at best"
    basis = f" ({bound.basis})" if bound.basis and bound.basis not in reason else ""
    if bound.beaten_by is None:
        return f"{best}{basis}, which misses a limit."
    known = any(t.number == bound.beaten_by for t in record.trials)
    name = name_of(record, bound.beaten_by) if known else f"#{bound.beaten_by}"
    return f"{best}{basis}; {name} would beat it even so."


def _audited(record: StudyRecord, audited: Audited) -> str:
    evaluation = audited.evaluation
    if evaluation.outcome is not Outcome.COMPLETE:
        return f"To check the gate it was trained after all; that ended {evaluation.outcome.value}."
    quality = evaluation.metrics.get(record.quality)
    came = f" and came to {quantity_text(record.quality, quality)}" if quality is not None else ""
    end = "so the gate was wrong" if audited.on_front else "so the gate was right"
    place = "would have been" if audited.on_front else "would not have been"
    return f"To check the gate it was trained after all{came}: it {place} on the front, {end}."


def curve_text(record: StudyRecord, stage: StageRecord) -> str:
    """ "epoch 2: 80.00 %, epoch 4: 85.00 %"."""
    info = metric_info(record.quality)
    return ", ".join(f"epoch {epochs}: {info.format(quality)}" for epochs, quality in stage.curve)
