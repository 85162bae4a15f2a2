"""The study as one table: one row per trial, every metric with its interval and origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ...search.ranking.as_run import gain
from ...search.ranking.ranking import Ranking
from ...search.ranking.reading import Reading
from ...search.ranking.slowed import slowdown_text
from ...search.record.evaluation import Finalist, Quantity, StudyRecord, TrialRecord
from ...search.record.options import Options
from ..content.columns import tested_metrics
from ..content.ladder import coverage_text
from ..content.treatments import treatment_texts


def trial_table(reading: Reading) -> pd.DataFrame:
    """One row per trial. Columns `METRIC`, `METRIC_low`, `METRIC_high`, `METRIC_provenance`.

    A quality without a prefix is that on validation. `gate_…` are the numbers taken with untrained weights,
    `test_…` those on the test split, of finalists (measured again) and of the uncompressed teacher. Where any
    trial has them: `proposed_by`, `predicted_QUALITY`, `expected_gain` (share of the hypervolume),
    `expected_seconds`; the gate's `bound_QUALITY`, `bound_basis`, `beaten_by`; `stopped_epoch`,
    `paused_for_time`; `audit_on_front`; `distillation_gain` of finalists; `threads`, `batch`, `options` that
    they are run with
    and the `options_gain` of that; `energy_in_all_mj`, `idle_w`, `meter` and `meter_verdict`; and of
    compression `float_QUALITY`, `rungs` (those of the ladder that were
    kept), `rungs_tried`, `ladder_seconds`, `treatment`, `stored_as`, `zero_share`. With several workers
    `worker`, `worker_seconds`, `waited_seconds` for the device, and the `device` of a pool.
    """
    record = reading.record
    finalists = {finalist.number: finalist for finalist in record.finalists}
    lines = []
    for trial in record.trials:
        line = {**_identity(trial), **_place(trial, reading.ranking)}
        line.update(_numbers("", trial.evaluation.metrics))
        line.update(_numbers("gate_", trial.evaluation.gate))
        line.update(_numbers("test_", tested_metrics(record, trial)))
        line.update(_finalist(finalists.get(trial.number)))
        line.update(_energy(trial, finalists.get(trial.number)))
        line.update(_search(record, trial))
        line.update(_compression(record, trial))
        line.update(_where(trial))
        lines.append({**line, **_ending(trial)})
    return pd.DataFrame(lines).convert_dtypes()


def csv_text(reading: Reading) -> str:
    """The table as CSV. A "'" stands before what a spreadsheet would take for a formula (`=cmd|...`)."""
    table = trial_table(reading)
    for name in table.select_dtypes(exclude=["number", "bool"]):
        table[name] = table[name].map(_no_formula, na_action="ignore")
    return str(table.rename(columns=_no_formula).to_csv(index=False))


def _no_formula(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    return value if value[1:].replace(".", "", 1).isdecimal() else f"'{value}"


def _identity(trial: TrialRecord) -> dict[str, Any]:
    candidate = trial.evaluation.candidate
    recipe = candidate.recipe
    return {
        "trial": trial.number,
        "digest": candidate.digest,
        "configuration": candidate.title,
        "backend": candidate.backend,
        "precision": str(candidate.precision),
        "sparsity": candidate.sparsity,
        **{f"student_{axis}": value for axis, value in candidate.student},
        "temperature": recipe.temperature if recipe else None,
        "distill_weight": recipe.distill_weight if recipe else None,
        "calibration_method": candidate.calibration_method,
        "calibration_samples": candidate.calibration_samples,
        "per_channel": candidate.per_channel,
    }


def _place(trial: TrialRecord, ranking: Ranking) -> dict[str, Any]:
    entry = ranking.of(trial.number)
    return {
        "outcome": trial.evaluation.outcome.value,
        "duplicate_of": trial.duplicate_of,
        "rank": entry.rank if entry else None,
        "tie": entry.tie if entry else None,
        "feasible": entry.feasible if entry else None,
        "front": entry.on_front if entry else None,
        "baseline": trial.evaluation.baseline,
    }


def _numbers(prefix: str, metrics: Mapping[str, Quantity]) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for name, quantity in metrics.items():
        line[f"{prefix}{name}"] = quantity.value
        line[f"{prefix}{name}_low"] = quantity.low
        line[f"{prefix}{name}_high"] = quantity.high
        line[f"{prefix}{name}_provenance"] = quantity.provenance
    return line


def _finalist(finalist: Finalist | None) -> dict[str, Any]:
    if finalist is None:
        return {}
    distilled, options = finalist.distillation_gain, finalist.deployed.options
    line = _numbers("", {"distillation_gain": distilled}) if distilled is not None else {}
    return line if options is None else line | _options(options)


def _energy(trial: TrialRecord, finalist: Finalist | None) -> dict[str, Any]:
    """What the meter told beside the energy above idle, of the latest windows."""
    told = finalist.deployed.energy if finalist is not None else None
    energy = told or trial.evaluation.deployed.energy
    if energy is None:
        return {}
    return {
        **_numbers("", {"energy_in_all_mj": energy.in_all_mj}),
        "idle_w": energy.idle_w,
        "meter": energy.by,
        "meter_verdict": energy.verdict,
    }


def _options(options: Options) -> dict[str, Any]:
    """How it is run, and what that gains."""
    told = (*options.chosen.compiled_with, *options.chosen.options)
    line = {
        "threads": options.chosen.threads,
        "batch": options.chosen.batch,
        "options": ", ".join(f"{name}={value}" for name, value in told),
    }
    ratio = options.ratio_to_default
    return line if ratio is None else line | _numbers("", {"options_gain": gain(ratio)})


def _compression(record: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """What was lost and won back, and how weights are stored; nothing where it is not known."""
    evaluation, line = trial.evaluation, dict[str, Any]()
    if evaluation.float_quality is not None:
        line[f"float_{record.quality}"] = evaluation.float_quality
    if evaluation.ladder:
        line["rungs"] = ", ".join(rung.name for rung in evaluation.ladder if rung.kept)
        line["rungs_tried"] = ", ".join(rung.name for rung in evaluation.ladder)
        line["ladder_seconds"] = sum(rung.seconds for rung in evaluation.ladder)
    texts = treatment_texts(evaluation.treatment)
    line |= {"treatment": "; ".join(texts)} if texts else {}
    stored = coverage_text(evaluation)
    line |= {"stored_as": stored} if stored else {}
    return line | ({} if evaluation.zero_share is None else {"zero_share": evaluation.zero_share})


def _search(record: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """What the search thought of the candidate; nothing where it has nothing to say."""
    evaluation, line = trial.evaluation, dict[str, Any]()
    if evaluation.proposal is not None:
        proposal = evaluation.proposal
        line |= {"proposed_by": proposal.by, "expected_gain": proposal.gain}
        line |= {"expected_seconds": proposal.seconds}
        line |= _numbers("predicted_", {record.quality: proposal.quality} if proposal.quality else {})
    if evaluation.bound is not None:
        bound = evaluation.bound
        line |= {f"bound_{record.quality}": bound.value, "bound_basis": bound.basis}
        line |= {"beaten_by": bound.beaten_by}
    if evaluation.stopped_epoch:
        line["stopped_epoch"] = evaluation.stopped_epoch
        line |= {"paused_for_time": True} if evaluation.late else {}
    audited = {a.number: a.on_front for a in record.audit}
    return line | ({"audit_on_front": audited[trial.number]} if trial.number in audited else {})


def _where(trial: TrialRecord) -> dict[str, Any]:
    where = trial.evaluation.where
    if where is None or trial.duplicate_of is not None:
        return {}
    device = {"device": where.device} if where.device else {}
    if not where.worker:
        return device
    times = {"worker_seconds": where.seconds, "waited_seconds": where.waited}
    return {"worker": where.worker, **times, **device}


def _ending(trial: TrialRecord) -> dict[str, Any]:
    evaluation = trial.evaluation
    slowdown = evaluation.watched.slowdown if evaluation.watched else None
    return {
        "reason": evaluation.reason,
        "stage": evaluation.stage,
        "cause": evaluation.cause,
        "stability": evaluation.stability,
        **({"slowed_down": slowdown_text(slowdown)} if slowdown else {}),
        "seconds": trial.seconds,
        "artifact_key": evaluation.artifact_key,
    }
