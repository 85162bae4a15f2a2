"""What may explain why a night's numbers are others: code, data, study file, versions, device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...profiles.text.named import located, workload_parts
from ...profiles.words import listed
from ..job.job import Job
from ..job.study_file import StudyFile, load_study_file
from ..record.evaluation import StudyRecord
from ..workload.content import bytes_digest, local_files
from . import commits
from .changes import COMMIT
from .night import FactKind, Night, NightFact

_SHORT = 12  # digits of a digest that a person is shown
_LONGEST = 120
_MOST_SOURCE_BYTES = 200_000
_DEVICE = (
    "system", "kernel", "machine", "processor", "instructions", "cores", "affinity", "governor", "turbo_off",
    "memory_bytes",
)  # fmt: skip
_STATE = ("load_average",)


def facts_of_file(study: Path) -> tuple[NightFact, ...]:
    """What is known before anybody's code is run: the workload's code, and the study file.

    Raises:
        UserError: the study file cannot be read.
    """
    file = load_study_file(study)
    root, paths = _code_of(file, study)
    digests = {str(path.relative_to(root)): bytes_digest(path) for path in paths}
    return (*_code(digests, study), *_settings(file))


def facts_of_job(job: Job) -> tuple[NightFact, ...]:
    """What is known before anything is measured: code, data and study file."""
    return (*_code(job.loaded.files, job.places.study_file), *_data(job), *_settings(job.file))


def facts_of_record(record: StudyRecord) -> tuple[NightFact, ...]:
    """What a run tells of versions, of its device, and of how that was meanwhile."""
    return (*_versions(record), *_device(record.environment))


def sources_of_file(study: Path) -> dict[str, str]:
    """The texts of the study file and of the workload's code, so that a later night can show what is other.

    Raises:
        UserError: the study file cannot be read.
    """
    root, paths = _code_of(load_study_file(study), study)
    texts = {}
    for name, path in {study.name: study, **{str(path.relative_to(root)): path for path in paths}}.items():
        with suppress(OSError, ValueError):
            if path.stat().st_size <= _MOST_SOURCE_BYTES:
                texts[name] = path.read_text(encoding="utf-8")
    return texts


def sources_at(folder: Path) -> dict[str, str]:
    """Those texts as a night's folder keeps them; nothing where it keeps none any more."""
    found = {}
    with suppress(OSError, ValueError):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_text(encoding="utf-8")
    return found


def commits_between(folder: Path, before: Night, now: Night) -> tuple[str, ...]:
    """A sentence on the commits between two nights, of whatever files; none where there are none."""
    then, tonight = (
        next((f for f in night.facts if f.kind is FactKind.CODE and f.name == COMMIT), None)
        for night in (before, now)
    )
    if then is None or tonight is None or then.value == tonight.value:
        return ()
    found = "; ".join(commits.subjects(folder, then.value, tonight.value))
    said = f"commits: {then.words} \N{RIGHTWARDS ARROW} {tonight.words}"
    return (f"{said}: {found}" if found else said,)


def _code_of(file: StudyFile, study: Path) -> tuple[Path, list[Path]]:
    """The workload's Python files, and the folder that their names begin in; none where it is not a file."""
    base = study.resolve().parent
    target, _ = workload_parts(file.workload.file)
    path = (
        located(target, base).absolute()
        if target.endswith(".py")
        else base.joinpath(*target.split(".")).with_suffix(".py")
    )
    root = path.parent if target.endswith(".py") else base
    return root, [one for one in local_files(path, root) if one.is_file()]


def _code(digests: Mapping[str, str], study: Path) -> Iterator[NightFact]:
    for name, digest in sorted(digests.items()):
        yield NightFact(kind=FactKind.CODE, name=name, value=digest)
    found = commits.commit_of(study.resolve().parent)
    if found is not None:
        yield NightFact(kind=FactKind.CODE, name=COMMIT, value=found.name, shown=found.shown)


def _data(job: Job) -> Iterator[NightFact]:
    splits = job.loaded.splits.items()
    for (name, split), digest in zip(splits, job.loaded.data_digests.values(), strict=True):
        shown = f"{len(split)} samples ({digest[:_SHORT]})"
        yield NightFact(kind=FactKind.DATA, name=name, value=digest, shown=shown)


def _settings(file: StudyFile) -> Iterator[NightFact]:
    written = file.model_dump(mode="json", exclude_unset=True, exclude={"name"})  # a night gives it its own
    for name, value in _flat(written):
        yield NightFact(kind=FactKind.STUDY, name=name, value=_short(value))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(value: Any) -> str:
    text = listed(value, 12) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _versions(record: StudyRecord) -> Iterator[NightFact]:
    for place, environment in (("", record.environment), ("of the machine that trains: ", record.host)):
        packages = environment.get("packages")
        named = dict(packages) if isinstance(packages, Mapping) else {}
        for name, version in {**named, "Python": environment.get("python")}.items():
            if version:
                yield NightFact(kind=FactKind.VERSIONS, name=f"{place}{name}", value=str(version))


def _device(environment: Mapping[str, Any]) -> Iterator[NightFact]:
    for kind, names in ((FactKind.DEVICE, _DEVICE), (FactKind.STATE, _STATE)):
        for name in names:
            if environment.get(name) not in (None, "", []):
                yield NightFact(kind=kind, name=name.replace("_", " "), value=_short(environment[name]))
