"""Bundles: a directory with a compiled model and all that is needed to run it, with nothing of ours."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from ... import __version__
from ...backends.registry import get_backend
from ...profiles.errors import UserError
from ...profiles.files import folder_aside, open_regular, sha256_of, write_whole
from ...profiles.precision import Precision
from ...search.bundles.files import MANIFEST
from ...search.ranking.as_run import artifact_of, as_run_lines
from ...search.ranking.known import TEST, known_metrics, trial_of
from ...search.ranking.sentences import quantity_text
from ...search.record.agreement import MEND_DEVICE
from ...search.record.evaluation import Outcome, Quantity, StudyRecord, TrialRecord
from ...search.store.store import Entry, Store
from ..content.views import why
from ..pages.write import plain

FORMAT = 1
SAMPLE, EXPECTED = "sample.npz", "expected.npz"
_OWN = ("run.py", "requirements.txt", "README.md", MANIFEST, SAMPLE, EXPECTED)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")


def export_bundle(record: StudyRecord, number: int, into: Path) -> Path:
    """Write the bundle of a complete trial to the new directory `into`, whole or not at all.

    Raises:
        UserError: no such trial, or it has no artifact; the store lost it; `into` is not empty or cannot be
            written.
    """
    trial = _complete_trial(record, number)
    entry = _artifact_entry(record, trial)
    with bundle_written(into):
        _refuse_existing(into)
        into.parent.mkdir(parents=True, exist_ok=True)
        with folder_aside(into.parent, "bundle") as aside:
            _fill(aside, record, trial, entry)
            aside.chmod(0o755)
            aside.replace(into)
    return into


@contextmanager
def bundle_written(into: Path) -> Iterator[None]:
    """Turn whatever keeps a bundle from being written into one message."""
    try:
        yield
    except OSError as error:
        raise UserError(
            "the bundle cannot be written",
            place=str(into),
            found=f"{error.filename2 or error.filename or into}: {error.strerror or error}",
            remedy="give a directory that can be written, or free some space (or raise the quota or file "
            "size limit)",
        ) from error


def _complete_trial(record: StudyRecord, number: int) -> TrialRecord:
    try:
        trial = trial_of(record, number)
        if trial.duplicate_of is not None:
            trial = trial_of(record, trial.duplicate_of)
    except KeyError:
        complete = [t.number for t in record.trials if t.evaluation.outcome is Outcome.COMPLETE]
        raise UserError(
            f"the study has no trial {number}", accepted=", ".join(map(str, complete)) or "none is complete"
        ) from None
    if trial.evaluation.outcome is not Outcome.COMPLETE or not trial.evaluation.artifact_key:
        raise UserError(
            f"trial {number} has no artifact to export",
            found=f"{trial.evaluation.outcome.value}: {why(trial)}",
            accepted="a complete trial; the report lists them",
        )
    for one in record.unconfirmed:
        if one.number == trial.number and one.agreement is not None:
            raise UserError(
                f"the device computes wrongly from trial {trial.number} by now",
                found=one.failed,
                remedy=MEND_DEVICE,
            )
    return trial


def _artifact_entry(record: StudyRecord, trial: TrialRecord) -> Entry:
    root = Path(record.store)
    there = os.path.isdir(root)  # noqa: PTH112 - where it cannot be told, it is not there
    key, _ = artifact_of(record, trial.number)
    entry = Store(root).get("compile", key) if there else None
    if entry is None:
        raise UserError(
            f"the store no longer has the artifact of trial {trial.number}",
            place=record.store,
            found=f"no entry compile/{key[:12]}",
            remedy="`paretune export STUDY TRIAL` makes it again",
        )
    return entry


def _refuse_existing(into: Path) -> None:
    link = into.is_symlink()
    if link or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise UserError(
            f"the bundle's directory is {'a link' if link else 'there already and not empty'}",
            place=str(into),
            remedy="give another directory, or remove this one",
        )


def _fill(into: Path, record: StudyRecord, trial: TrialRecord, entry: Entry) -> None:
    source = entry.file(entry.meta["file"])
    artifact = f"artifact-{source.name}" if source.name in _OWN else source.name
    shutil.copyfile(source, into / artifact)
    for name, kept in ((SAMPLE, "sample"), (EXPECTED, "expected")):
        if entry.meta.get(kept):
            shutil.copyfile(entry.file(entry.meta[kept]), into / name)
    write_whole(into / "run.py", run_script(trial))
    write_whole(into / "requirements.txt", requirements(trial.evaluation.candidate.backend, entry))
    write_whole(into / "README.md", _readme(record, trial, entry))
    manifest = _manifest(record, trial, entry, artifact)
    manifest["files"] = {path.name: _described(path) for path in sorted(into.iterdir())}
    text = json.dumps(plain(manifest), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(into / MANIFEST, f"{text}\n")


def _described(path: Path) -> dict[str, Any]:
    with open_regular(path) as file:
        return {"sha256": sha256_of(file), "size_bytes": path.stat().st_size}


def _manifest(record: StudyRecord, trial: TrialRecord, entry: Entry, artifact: str) -> dict[str, Any]:
    evaluation = trial.evaluation
    metrics, source = known_metrics(record, trial.number)
    _, setting = artifact_of(record, trial.number)
    made = entry.meta.get("artifact", {})
    return {
        "format": FORMAT,
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
        "metrics": {name: _told(quantity) for name, quantity in metrics.items()},
        "weight_bytes": evaluation.weight_bytes,
        "notes": evaluation.all_notes,
        "versions": made.get("versions", {}),
        "profile": record.profile,
        "estimated": record.estimated is not None,
        "environment": record.environment,
    }


def _told(quantity: Quantity) -> dict[str, Any]:
    """A number with its interval; single samples are the study's business."""
    return {name: value for name, value in asdict(quantity).items() if name != "by_sample"}


def run_script(trial: TrialRecord) -> str:
    """The script that runs the artifact; it is one file, so that it also runs isolated (`python -I`).

    Raises:
        UserError: the backend has no script.
    """
    backend = get_backend(trial.evaluation.candidate.backend)
    script = backend.beside("run.py.in")
    if script is None:
        raise UserError(
            f"a model of the backend {backend.name!r} cannot be deployed",
            accepted="a backend with a run.py.in beside its module",
        )
    # The title stands inside a docstring: nothing in it may end that.
    title = trial.evaluation.candidate.title.replace("\\", "/").replace('"', "'")
    runtime = script.read_text(encoding="utf-8").strip() + "\n"
    frame = files("paretune.reports").joinpath("templates", "run_main.py.in").read_text(encoding="utf-8")
    return frame.replace("@TITLE@", title).replace("@RUNTIME@", runtime)


def requirements(backend: str, entry: Entry) -> str:
    """numpy, and the runtime in the version that the artifact was compiled and measured with."""
    found = entry.meta.get("artifact", {}).get("versions", {})
    versions = {str(package).replace("_", "-"): version for package, version in found.items()}
    packages = get_backend(backend).packages
    known = [package for package in packages if _VERSION.fullmatch(versions.get(package, ""))]
    pinned = [f"{package}=={versions[package]}" for package in known]
    return "\n".join(["numpy>=1.26", *(pinned or packages)[:1], ""])


def _readme(record: StudyRecord, trial: TrialRecord, entry: Entry) -> str:
    metrics, source = known_metrics(record, trial.number)
    shown = [
        f"{name} {quantity_text(name, metrics[name])}"
        for name in (record.quality, "latency_ms", "size_bytes")
        if name in metrics
    ]
    how = as_run_lines(record, trial.number)
    expected = "\n`expected.npz` has what the artifact gave for `sample.npz` where it was compiled.\n"
    return (
        f"# {trial.evaluation.candidate.title}\n\n"
        f"Trial {trial.number} of the study {record.name} on {record.profile}: {', '.join(shown)} "
        f"({source} split). All of it is in `manifest.json`.\n\n"
        + _estimated(record)
        + "".join(f"{line}\n\n" for line in how)
        + "1. `python -m venv .venv && . .venv/bin/activate`\n"
        "2. `pip install -r requirements.txt`\n"
        "3. `python run.py` runs `sample.npz`; `python run.py INPUTS.npz -o OUT.npz` runs your own arrays.\n"
        + (expected if entry.meta.get("expected") else "")
        + _handed_in(record, trial)
    )


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
