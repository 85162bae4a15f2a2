"""The page that lies in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...profiles.precision import Precision
from ...search.ranking.as_run import as_run_lines
from ...search.ranking.known import known_metrics
from ...search.ranking.sentences import quantity_text
from ...search.record.evaluation import StudyRecord, TrialRecord
from .companions import Companion


def readme(
    record: StudyRecord, trial: TrialRecord, manifest: Mapping[str, Any], companion: Companion | None
) -> str:
    """What it is, how it is run, and what its files are."""
    metrics, source = known_metrics(record, trial.number)
    shown = [
        f"{name} {quantity_text(name, metrics[name])}"
        for name in (record.quality, "latency_ms", "size_bytes")
        if name in metrics
    ]
    how = as_run_lines(record, trial.number)
    return (
        f"# {trial.evaluation.candidate.title}\n\n"
        f"Trial {trial.number} of the study {record.name} on {record.profile}: {', '.join(shown)} "
        f"({source} split). All of it is in `manifest.json`.\n\n"
        + _estimated(record)
        + "".join(f"{line}\n\n" for line in how)
        + "1. `python -m venv .venv && . .venv/bin/activate`\n"
        "2. `pip install -r requirements.txt`\n"
        "3. `python run.py` runs `sample.npz`; `python run.py INPUTS.npz -o OUT.npz` runs your own arrays.\n"
        + _files(manifest, companion)
        + _handed_in(record, trial)
    )


def _files(manifest: Mapping[str, Any], companion: Companion | None) -> str:
    lines = []
    if manifest["expected"]:
        lines.append("`expected.npz` has what the artifact gave for `sample.npz` where it was compiled.")
    if samples := manifest.get("samples"):
        lines.append(
            f"`{samples['file']}` has {samples['count']} samples of the test split, with their targets and "
            f"with what the artifact gave for them on {samples['taken_on']}: `python run.py --check` runs "
            "them and compares, with numpy and the runtime alone."
        )
    if "monitor" not in manifest["left_out"]:
        lines.append(
            "`monitor.py` records how the model is used (numpy alone; its first lines say how), and "
            "`paretune monitor check` compares that with what it was exported with."
        )
    if companion is not None:
        ratio = quantity_text("latency_ratio", companion.ratio)
        lines.append(
            f"`{manifest['reference']['file']}` is {companion.trial.evaluation.candidate.title} (trial "
            f"{companion.trial.number}), which latency is told against: a sample takes {ratio} times as long "
            "in this bundle's artifact as in that one. `run.py` does not need it."
        )
    lines += [f"It has no {name}: {why}." for name, why in manifest["left_out"].items()]
    if manifest.get("samples") or companion is not None:
        lines.append("`paretune verify` of this folder checks it, on any machine that has the runtime.")
    return "".join(f"\n{line}\n" for line in lines)


def _estimated(record: StudyRecord) -> str:
    """That the numbers were not taken on the device."""
    if record.estimated is None:
        return ""
    return f"**Estimated:** nothing was taken on {record.estimated.device}, which was not there.\n\n"


def _handed_in(record: StudyRecord, trial: TrialRecord) -> str:
    """What was said of a file that is shipped as it came: the scales of its inputs and outputs, say."""
    if trial.evaluation.candidate.precision is not Precision.GIVEN or not record.remarks:
        return ""
    return "\n" + "".join(f"- {remark}\n" for remark in record.remarks)
