"""What tuning took and what it brought, in sentences."""

from __future__ import annotations

from ...profiles.words import duration
from ...search.ranking.sentences import name_of
from ...search.record.evaluation import Evaluation, Outcome, StudyRecord, TrialRecord
from ...search.record.metrics import metric_info
from .trainings import own_trials

LATENCY = "latency_ms"
MOST_NAMED = 4
_WHY = "they could not reach the front, or there was no time for it"


def tuned_text(evaluation: Evaluation) -> str:
    """ "tuned for 9 min 30 s (240 trials, 12 tasks, 3 of them known): 434 µs, untuned 3.69 ms, 8.5 times as
    fast"; empty where it was not tuned."""
    tuned = evaluation.tuning
    if tuned is None:
        return ""
    parts = [f"{tuned.facts[name]} {name}" for name in ("trials", "tasks") if name in tuned.facts]
    known = tuned.facts.get("tasks_known")
    parts += [f"{known} of them known from earlier tunings"] if known else []
    text = f"tuned for {duration(tuned.seconds)}" + (f" ({', '.join(parts)})" if parts else "")
    text += _brought(evaluation)
    return text + (f"; the tuning ended before its time: {tuned.note}" if tuned.note else "")


def _brought(evaluation: Evaluation) -> str:
    """Tuned against untuned."""
    now, tuned = evaluation.metrics.get(LATENCY), evaluation.tuning
    before = tuned.untuned_ms if tuned is not None else None
    if now is None or before is None or min(now.value, before.value) <= 0:
        return ""
    show, times = metric_info(LATENCY).format, before.value / now.value
    change = f"{times:.3g} times as fast" if times >= 1 else f"{1 / times:.3g} times slower"
    return f": {show(now.value)}, untuned {show(before.value)}, {change}"


def tunings_text(record: StudyRecord) -> str:
    """What all tunings took, what each tuned finalist (else each tuned candidate) gained by it, and how many
    candidates were not worth it."""
    trials = list(own_trials(record))
    tuned = [trial for trial in trials if trial.evaluation.tuning is not None]
    left = sum(not_tuned(trial) for trial in trials)
    if not tuned and not left:
        return ""
    spent = sum(s.seconds for t in trials for s in t.evaluation.stages if s.name == "tune" and not s.cached)
    count = f"{len(tuned)} candidate{'' if len(tuned) == 1 else 's'} tuned"
    head = f"{count}, in {duration(spent)} of this study" + (f"; {left} not tuned: {_WHY}" if left else "")
    finalists = {finalist.number for finalist in record.finalists}
    named = [trial for trial in tuned if trial.number in finalists] or tuned
    lines = [f"{name_of(record, t.number)} {tuned_text(t.evaluation)}" for t in named[:MOST_NAMED]]
    return ". ".join([head, *lines]) + "."


def not_tuned(trial: TrialRecord) -> bool:
    """Whether it was stopped before anything was measured: not worth tuning, or there was no time for it."""
    return trial.ended(Outcome.GATED) and not trial.evaluation.gate and not trial.evaluation.stopped_epoch
