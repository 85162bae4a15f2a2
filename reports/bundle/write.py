"""Bundles: a directory with a compiled model and all that is needed to run it, with nothing of ours."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...backends.registry import get_backend
from ...profiles.errors import UserError
from ...profiles.files import folder_aside, make_folder, open_regular, sha256_of, sync, sync_tree, write_whole
from ...search.bundles.files import MANIFEST
from ...search.monitor.module import MODULE, module_source
from ...search.monitor.recorder import PLAN
from ...search.ranking.as_run import artifact_of
from ...search.ranking.known import trial_of
from ...search.record.agreement import MEND_DEVICE
from ...search.record.evaluation import Outcome, StudyRecord, TrialRecord
from ...search.store.opening import entry_in
from ...search.store.store import Entry
from ..content.views import why
from ..pages.write import plain
from .companions import USUAL, Beside, Companion, reference_of, samples_of
from .manifest import EXPECTED, REFERENCE, SAMPLE, SAMPLES, manifest_of, said_of_reference, said_of_samples
from .readme import readme

_OWN = (
    "run.py",
    "requirements.txt",
    "README.md",
    MANIFEST,
    SAMPLE,
    EXPECTED,
    SAMPLES,
    REFERENCE,
    PLAN,
    MODULE,
)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")


def export_bundle(record: StudyRecord, number: int, into: Path, beside: Beside = USUAL) -> Path:
    """Write the bundle of a complete trial to the new directory `into`, whole or not at all, with what is
    asked for beside its artifact as far as that can be had: its manifest says in `left_out` what cannot.

    Raises:
        UserError: no such trial, or it has no artifact; the store lost it; `into` is not empty or cannot be
            written.
    """
    trial = _complete_trial(record, number)
    entry = _artifact_entry(record, trial)
    with bundle_written(into):
        _refuse_existing(into)
        make_folder(into.parent)
        with folder_aside(into.parent, "bundle") as aside:
            _fill(aside, record, trial, entry, beside)
            aside.chmod(0o755)
            sync_tree(aside)
            aside.replace(into)
        sync(into.parent)
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
    key, _ = artifact_of(record, trial.number)
    entry = entry_in(record.store, "compile", key)
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


def _fill(into: Path, record: StudyRecord, trial: TrialRecord, entry: Entry, beside: Beside) -> None:
    source = entry.file(entry.meta["file"])
    artifact = f"artifact-{source.name}" if source.name in _OWN else source.name
    shutil.copyfile(source, into / artifact)
    for name, kept in ((SAMPLE, "sample"), (EXPECTED, "expected")):
        if entry.meta.get(kept):
            shutil.copyfile(entry.file(entry.meta[kept]), into / name)
    manifest = manifest_of(record, trial, entry, artifact)
    _add_samples(into, record, trial, beside, manifest)
    _add_monitor(into, record, trial, beside, manifest)
    companion = _add_reference(into, record, trial, beside, manifest)
    write_whole(into / "run.py", run_script(trial))
    write_whole(into / "requirements.txt", requirements(trial.evaluation.candidate.backend, entry))
    write_whole(into / "README.md", readme(record, trial, manifest, companion))
    written = sorted(path for path in into.rglob("*") if path.is_file())
    manifest["files"] = {path.relative_to(into).as_posix(): _described(path) for path in written}
    text = json.dumps(plain(manifest), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(into / MANIFEST, f"{text}\n")


def _add_samples(
    into: Path, record: StudyRecord, trial: TrialRecord, beside: Beside, manifest: dict[str, Any]
) -> None:
    """A few samples with what the artifact gave for them; in the manifest what they are, or why there are
    none."""
    samples, why_not = samples_of(record, trial.number, beside)
    if samples is None:
        manifest["left_out"]["samples"] = why_not
        return
    shutil.copyfile(samples.file(samples.meta["file"]), into / SAMPLES)
    manifest["samples"] = said_of_samples(record, samples)
    manifest["quality"]["by"] = samples.meta["by"]


def _add_monitor(
    into: Path, record: StudyRecord, trial: TrialRecord, beside: Beside, manifest: dict[str, Any]
) -> None:
    """The module that records the bundle's use, with what that is compared with: sums, and no sample, so that
    it comes also where no samples are to travel."""
    samples, why_not = samples_of(record, trial.number, replace(beside, samples=beside.samples or ""))
    plan = None if samples is None else samples.meta.get("monitor")
    if samples is None or not plan:
        manifest["left_out"]["monitor"] = why_not or "what it would be compared with was not kept"
        return
    shutil.copyfile(samples.file(plan), into / PLAN)
    write_whole(into / MODULE, module_source())


def _add_reference(
    into: Path, record: StudyRecord, trial: TrialRecord, beside: Beside, manifest: dict[str, Any]
) -> Companion | None:
    """The artifact that latency is told against, in a folder of its own, or why there is none."""
    companion, why_not = reference_of(record, trial.number, beside)
    if companion is None:
        manifest["left_out"]["reference"] = why_not
        return None
    source = companion.entry.file(companion.entry.meta["file"])
    (into / REFERENCE).mkdir()
    shutil.copyfile(source, into / REFERENCE / source.name)
    manifest["reference"] = said_of_reference(companion, f"{REFERENCE}/{source.name}")
    return companion


def _described(path: Path) -> dict[str, Any]:
    with open_regular(path) as file:
        return {"sha256": sha256_of(file), "size_bytes": path.stat().st_size}


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
