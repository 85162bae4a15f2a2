"""All that is known of one trial: what it is, how it ended and why, what beat it, how to run it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...profiles.errors import UserError
from ...profiles.words import duration
from ...search.ranking.estimated import limits_text, open_lines
from ...search.ranking.known import bound_for, known_metrics, limits_on, point_of, trial_of, violations
from ...search.ranking.pareto import dominates
from ...search.ranking.ranking import Ranked, Ranking, comparable
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import difference_text, gain_text, name_of, quantity_text, speed_words
from ...search.ranking.slowed import slowed_line, watched_of
from ...search.ranking.verdict import speedup
from ...search.ranking.wrong_devices import checked_artifacts
from ...search.record.agreement import Agreement
from ...search.record.candidate import Candidate
from ...search.record.evaluation import Limit, Outcome, Quantity, StudyRecord, TrialRecord
from ...search.record.metrics import metric_info
from ...search.record.training import trainings_met
from ..content.deployed import deployed_lines
from ..content.elsewhere import agreement_lines
from ..content.ladder import coverage_text, ladder_lines, sparsity_text
from ..content.placement import placement_table
from ..content.trial_story import curve_text, gate_lines, proposal_lines
from ..content.tuned import tuned_text
from ..content.views import why
from ..content.watched import watched_text
from ..content.where import where_lines
from .run_again import run_again_lines


def explain(reading: Reading, number: int) -> str:
    """Everything known of a trial as Markdown that reads well as plain text.

    Raises:
        UserError: the study has no such trial.
    """
    record = reading.record
    try:
        trial = trial_of(record, number)
    except KeyError:
        numbers = [t.number for t in record.trials]
        accepted = f"{min(numbers)} to {max(numbers)}" if numbers else "no trial was run yet"
        raise UserError(f"the study has no trial {number}", accepted=accepted) from None
    parts = [
        f"# Trial {number}: {_one_line(trial.evaluation.candidate.title)}",
        _items("Outcome", _outcome(reading, trial)),
        _items("Why it was tried", proposal_lines(record, trial)),
        _items("Configuration", configuration_lines(trial.evaluation.candidate)),
        _items("Numbers", _numbers(reading, trial)),
        _items("The same file on the device and here", agreement_lines(_agreement(record, trial))),
        _items("Compression", _compression(record, trial)),
        _section("Where it runs", placement_table(record, number)),
        _items("What quantization lost, and what won it back", ladder_lines(record, trial)),
        _items("Stages", _stages(record, trial)),
        _items("Why it is not the answer", _against(reading, trial)),
        _section("Log", _log(trial)),
        _section("Run it again", run_again_lines(record, trial)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _agreement(record: StudyRecord, trial: TrialRecord) -> Agreement | None:
    """The latest comparison of its artifact."""
    found = (one.agreement for one in checked_artifacts(record) if one.number == trial.number)
    return next(found, None)


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _items(title: str, lines: Sequence[str]) -> str:
    """A section of items, each in one line whatever users wrote into it."""
    return _section(title, [_one_line(line) for line in lines])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _outcome(reading: Reading, trial: TrialRecord) -> list[str]:
    evaluation = trial.evaluation
    lines = [evaluation.outcome.value + (f": {why(trial)}" if why(trial) else "")]
    lines += gate_lines(reading.record, trial)
    if trial.duplicate_of is not None:
        lines.append(f"The same candidate as trial {trial.duplicate_of}, answered from its record.")
    entry = reading.ranking.of(trial.duplicate_of if trial.duplicate_of is not None else trial.number)
    if entry is not None:
        lines.append(_place(entry, reading.ranking))
        lines += open_lines(reading.ranking, entry)
    if evaluation.baseline:
        lines.append("A simple choice: the teacher, not compressed beyond its precision.")
    if evaluation.stability:
        lines.append(f"The measurement was {evaluation.stability}.")
    lines += _watched(reading.record, trial.number)
    if evaluation.untrained.proxies:
        told = ", ".join(f"{name} {value:.4g}" for name, value in evaluation.untrained.proxies.items())
        lines.append(f"Its network told before any training: {told}.")
    if evaluation.tuning is not None:
        lines.append(f"It was {tuned_text(evaluation)}.")
    lines += deployed_lines(reading.record, trial.number)
    lines += where_lines(trial)
    return [f"- {line}" for line in [*lines, *evaluation.all_notes]]


def _watched(record: StudyRecord, number: int) -> list[str]:
    """How the device was while its numbers were taken."""
    seen = watched_of(record, number)
    text = watched_text(seen) if seen else ""
    return list(filter(None, (f"The device meanwhile: {text}." if text else "", slowed_line(record, number))))


def _place(entry: Ranked, ranking: Ranking) -> str:
    tie = ", shared with candidates that cannot be told apart" if entry.tie else ""
    where = "on the front" if entry.on_front else "not on the front"
    limits = limits_text(ranking, entry)
    return f"Rank {entry.rank}{tie}; {where}; {limits}; ranked by its {entry.source} numbers."


def configuration_lines(candidate: Candidate) -> list[str]:
    """All that tells a candidate from others, an item each."""
    lines = [f"backend: {candidate.backend}", f"precision: {candidate.precision}"]
    student = " ".join(f"{k}={v}" for k, v in candidate.student) or "the teacher itself"
    lines += [f"student: {student}", f"sparsity: {candidate.sparsity}"]
    if candidate.calibration_method:
        lines.append(
            f"calibration: {candidate.calibration_method}, {candidate.calibration_samples} samples, "
            f"weights {'per channel' if candidate.per_channel else 'per tensor'}"
        )
    if candidate.recipe is not None:
        r = candidate.recipe
        lines.append(
            f"recipe: {r.epochs} epochs, temperature {r.temperature:g}, distillation weight "
            f"{r.distill_weight:g}, learning rate {r.learning_rate:g}, batch {r.batch}, "
            f"{r.finetune_epochs} epochs of fine-tuning, seed {r.seed}"
            + (f", patience {r.patience}" if r.patience else "")
        )
    return [f"- {line}" for line in [*lines, f"digest: {candidate.digest}"]]


def _numbers(reading: Reading, trial: TrialRecord) -> list[str]:
    record, evaluation = reading.record, trial.evaluation
    finalist = next((f for f in record.finalists if f.number == trial.number), None)
    lines = _quantities("", evaluation.metrics)
    if finalist is not None:
        lines += _quantities("finalist: ", {**finalist.metrics, **finalist.side_effects})
    lines += [f"- finalist: {f.failed}" for f in record.unconfirmed if f.number == trial.number]
    if not evaluation.metrics:
        lines += _quantities("untrained weights: ", evaluation.gate)
    ratio = speedup(record, trial.number, reading.verdict.baseline)
    if ratio is not None:
        lines.append(f"- {speed_words(ratio)} the strongest simple choice ({ratio.how})")
    if evaluation.weight_bytes:
        types = ", ".join(f"{kind} {count} bytes" for kind, count in evaluation.weight_bytes.items())
        lines.append(f"- constants in the artifact: {types}")
    return lines


def _quantities(prefix: str, metrics: Mapping[str, Quantity]) -> list[str]:
    return [
        f"- {prefix}{metric_info(name).title}: {quantity_text(name, q)} [{q.provenance}"
        + (f": {q.how}]" if q.how else "]")
        for name, q in metrics.items()
    ]


def _compression(record: StudyRecord, trial: TrialRecord) -> list[str]:
    """How the weights are stored, what sparsity brought, and what the teacher did."""
    finalist = next((f for f in record.finalists if f.number == trial.number), None)
    gain = finalist.distillation_gain if finalist is not None else None
    lines = [coverage_text(trial.evaluation), sparsity_text(trial.evaluation)]
    lines.append("" if gain is None else f"the student is {gain_text(record, gain)}")
    if finalist is not None and finalist.draw_effect is not None:
        lines.append(finalist.draw_effect.how)
    return [f"- {line}" for line in lines if line]


def _stages(record: StudyRecord, trial: TrialRecord) -> list[str]:
    given_up = trainings_met(trial.evaluation)[-1:] if trial.evaluation.stopped_epoch else ()
    lines = []
    for stage in trial.evaluation.stages:
        stopped = "paused after" if trial.evaluation.paused else "given up after"
        how = stopped if stage in given_up else "made in"
        line = f"- {stage.name} {stage.key[:12]}: "
        line += "from the store" if stage.cached else f"{how} {duration(stage.seconds)}"
        lines.append(line + (f" ({curve_text(record, stage)})" if stage.curve else ""))
    return lines


def _log(trial: TrialRecord) -> list[str]:
    log = trial.evaluation.log.strip()
    return ["    " + line for line in log.splitlines()]


def _against(reading: Reading, trial: TrialRecord) -> list[str]:
    """Which candidates beat it, and what would have made it fit or win."""
    best = reading.recommended
    if best is not None and best.number == trial.number:
        return []
    lines, entry = _needed(reading.record, trial), reading.ranking.of(trial.number)
    if entry is not None:
        lines += _beaten_by(reading, entry)
        if best is not None and entry.feasible:
            lines += _gap(reading.record, entry, best)
    return [f"- {line}" for line in lines]


def _needed(record: StudyRecord, trial: TrialRecord) -> list[str]:
    evaluation = trial.evaluation
    if evaluation.agreement is not None and not evaluation.agreement.agrees:
        return ["The device computes wrongly from it, which says nothing about the model."]
    if evaluation.outcome is Outcome.FAILED:
        return [f"It failed in the stage {evaluation.stage}: without that it would have been scored."]
    if evaluation.outcome is Outcome.REFUSED:
        return ["It cannot exist on this runtime and device."]
    metrics, source = known_metrics(record, trial.number)
    metrics = metrics or evaluation.gate
    missed = violations(limits_on(metrics, record.limits), metrics, source)
    return [
        _miss(bound_for(limit, source), missed[limit.text], sure=not metrics[limit.metric].is_estimate)
        for limit in record.limits
        if missed.get(limit.text, 0.0) > 0
    ]


def _miss(limit: Limit, miss: float, *, sure: bool) -> str:
    info = metric_info(limit.metric)
    by = difference_text(limit.metric, miss)
    missed = f"It misses {limit.text!r} by {by}" if sure else f"It may miss {limit.text!r} by up to {by}"
    side = "at most" if limit.upper else "at least"
    return f"{missed}: it would need {info.title.lower()} {side} {info.format(limit.bound)}."


def _beaten_by(reading: Reading, entry: Ranked) -> list[str]:
    record = reading.record
    lines = [
        f"{name_of(record, other.number)} beats it: {_differences(record, other, entry)}."
        for other in reading.ranking.entries
        if (other.feasible or not entry.feasible) and _beats(record, other, entry)
    ]
    return lines[:5] + ([f"{len(lines) - 5} more beat it."] if len(lines) > 5 else [])


def _beats(record: StudyRecord, a: Ranked, b: Ranked) -> bool:
    """Whether one candidate beats the other, by numbers of the same split."""
    one, two = (point_of(record.objectives, metrics) for metrics in comparable(record, a, b))
    higher = [objective.higher_is_better for objective in record.objectives]
    return one is not None and two is not None and dominates(one, two, higher)


def _differences(record: StudyRecord, better: Ranked, worse: Ranked) -> str:
    mine, others = comparable(record, better, worse)
    parts = []
    for objective in record.objectives:
        info = metric_info(objective.metric)
        ours, theirs = mine[objective.metric].value, others[objective.metric].value
        if ours != theirs:
            parts.append(f"{info.title.lower()} {info.format(ours)} against {info.format(theirs)}")
    return ", ".join(parts)


def _gap(record: StudyRecord, entry: Ranked, best: Ranked) -> list[str]:
    """What it would need to come before the recommended one, where it lies behind on distance."""
    if not entry.on_front:
        return []
    behind = [
        metric_info(o.metric).title.lower()
        for o in record.objectives
        if (entry.metrics[o.metric].value - best.metrics[o.metric].value) * (1 if o.higher_is_better else -1)
        < 0
    ]
    if entry.source != best.source:
        return [f"It was not among the finalists, and #{best.number} was confirmed on the test split."]
    if not behind:
        return []
    return [
        f"It is on the front, but further from the ideal ({entry.distance:.3g}) than #{best.number} "
        f"({best.distance:.3g}): more weight on what it is good at, or better {' and '.join(behind)}, would "
        "put it first."
    ]
