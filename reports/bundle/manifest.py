"""The manifest of a bundle: all that is said of what was shipped."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ... import __version__
from ...search.bundles.manifest import NEWEST
from ...search.ranking.as_run import artifact_of
from ...search.ranking.known import TEST, known_metrics
from ...search.record.evaluation import Quantity, StudyRecord, TrialRecord
from ...search.record.quality import higher_is_better
from ...search.store.store import Entry
from .companions import Companion

SAMPLE, EXPECTED, SAMPLES, REFERENCE = "sample.npz", "expected.npz", "samples.npz", "reference"


def manifest_of(record: StudyRecord, trial: TrialRecord, entry: Entry, artifact: str) -> dict[str, Any]:
    """What is said of the artifact, whose file in the bundle is called `artifact`."""
    evaluation = trial.evaluation
    metrics, source = known_metrics(record, trial.number)
    _, setting = artifact_of(record, trial.number)
    made = entry.meta.get("artifact", {})
    return {
        "format": NEWEST,
        "paretune": __version__,
        "study": record.name,
        "ended": record.ended,
        "trial": trial.number,
        "title": evaluation.candidate.title,
        "digest": evaluation.candidate.digest,
        "configuration": evaluation.candidate,
        "backend": evaluation.candidate.backend,
        "precision": str(evaluation.candidate.precision),
        "artifact": artifact,
        "artifact_key": entry.key,
        "sample": SAMPLE if entry.meta.get("sample") else None,
        "expected": EXPECTED if entry.meta.get("expected") else None,  # the artifact's outputs for the sample
        "batch": setting.batch if setting else int(entry.meta.get("batch", 1)),
        "threads": setting.threads if setting else int(entry.meta.get("threads", 1)),
        "options": dict(setting.options) if setting else {},
        "compiled_with": dict(setting.compiled_with) if setting else {},
        "inputs": entry.meta["inputs"],
        "outputs": entry.meta["outputs"],
        "quality": {"metric": record.quality, "split": "test" if source == TEST else "validation"},
        "higher_is_better": higher_is_better(record, record.quality),
        "metrics": {name: _told(quantity) for name, quantity in metrics.items()},
        "weight_bytes": evaluation.weight_bytes,
        "notes": evaluation.all_notes,
        "versions": made.get("versions", {}),
        "profile": record.profile,
        "estimated": record.estimated is not None,
        "environment": record.environment,
        "left_out": {},
    }


def said_of_samples(record: StudyRecord, samples: Entry) -> dict[str, Any]:
    """What is said of the samples that travel along."""
    meta = samples.meta
    kept = ("count", "outputs", "primary", "scored", "as_array", "codes", "quality")
    where = "this machine" if record.estimated is not None else record.profile
    return {"file": SAMPLES, "split": TEST, "taken_on": where, **{name: meta[name] for name in kept}}


def said_of_reference(companion: Companion, file: str) -> dict[str, Any]:
    """What is said of the artifact that latency is told against."""
    candidate, meta, setting = companion.trial.evaluation.candidate, companion.entry.meta, companion.setting
    latency = companion.latency_ms
    return {
        "file": file,
        "trial": companion.trial.number,
        "title": candidate.title,
        "artifact_key": companion.entry.key,
        "backend": candidate.backend,
        "precision": str(candidate.precision),
        "batch": setting.batch,
        "threads": setting.threads,
        "options": dict(setting.options),
        "inputs": meta["inputs"],
        "outputs": meta["outputs"],
        "versions": meta["artifact"].get("versions", {}),
        "ratio": _told(companion.ratio),
        "latency_ms": None if latency is None else _told(latency),
    }


def _told(quantity: Quantity) -> dict[str, Any]:
    """A number with its interval; single samples are the study's business."""
    return {name: value for name, value in asdict(quantity).items() if name != "by_sample"}
