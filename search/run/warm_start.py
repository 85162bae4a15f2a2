"""What earlier studies of the same workload have learned: the quality of students that are trained already.

The quality of a trained student carries over to another device and to other limits; only what the device
decides is new. Other studies are read, never written to, and no trouble with one of them ends a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ...backends.measure.environment import instruction_sets
from ...profiles.errors import ParetuneError, UserError
from ...profiles.passwords import without_passwords
from ...profiles.text.named import located
from ...profiles.words import joined
from ..job.job import Job
from ..job.places import places_of
from ..job.study_file import load_study_file
from ..record.candidate import Candidate
from ..record.digest import canonical_json
from ..record.evaluation import Outcome
from ..storage.read_only import study_for_reading
from ..storage.run_file import RUN_FILE
from ..storage.same_problem import PROBLEM
from ..storage.study_store import StudyStore
from ..storage.url import StorageUrl
from .stored import stored_study

Sources = bool | tuple[str, ...]
_SHOWN_STUDIES = 4
_MUST_BE_EQUAL = {"workload": "workload", "data": "data", "training": "training settings"}


@dataclass(frozen=True, kw_only=True)
class EarlierResult:
    """A candidate that another study has evaluated to the end.

    `quality` is the workload's metric on validation, taken from the compiled artifact. `same_instructions`:
    it was scored on a processor with the instruction sets of this study's device, so that its kernels
    compute the same numbers; False where that is not known.
    """

    candidate: Candidate
    quality: float
    same_instructions: bool


@dataclass(frozen=True, kw_only=True)
class EarlierResults:
    """Results of other studies, the names of those that contributed, and a sentence for each that could
    not be read."""

    results: tuple[EarlierResult, ...] = ()
    studies: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where an earlier study may be. `named`: the study file names it, so that silence would mislead."""

    path: Path
    named: bool
    shown: str


def earlier_results(job: Job, sources: Sources = True) -> EarlierResults:
    """Complete evaluations of studies with the same workload, data and training settings as this one.

    `sources`: True reads the other runs beside this study's own; a tuple names run directories or study
    files, relative to the study file, and reads those alone; False reads none. Creates and changes nothing.
    A study that two places lead to counts once. Servers are asked only where they are named.
    """
    results: list[EarlierResult] = []
    studies: list[str] = []
    skipped: list[str] = []
    seen = {_identity(job.places.storage, job.file.name)}
    reader = _Reader(job)
    for place in _places(job, sources):
        try:
            url, name = _stored(place)
            if _identity(url, name) in seen:
                continue
            seen.add(_identity(url, name))
            found = reader.read(place, url, name)
        except Exception as error:  # whatever is wrong with an earlier study, this one can do without
            skipped.append(f"the earlier study in {place.shown} was not read: {_reason(error)}")
            continue
        results += found
        studies += [name] if found else []
    return EarlierResults(results=tuple(results), studies=tuple(studies), skipped=tuple(skipped))


def remark(earlier: EarlierResults) -> str:
    """One sentence for the report; empty where nothing was taken.

    "37 results of digits-pi and digits-old of the same workload and data were taken as a start".
    """
    count = len(earlier.results)
    if not count:
        return ""
    noun, verb = ("result", "was") if count == 1 else ("results", "were")
    names = _named(earlier.studies)
    return f"{count} {noun} of {names} of the same workload and data {verb} taken as a start"


def _named(names: tuple[str, ...]) -> str:
    shown = list(dict.fromkeys(names))
    if len(shown) > _SHOWN_STUDIES:
        shown = [*shown[: _SHOWN_STUDIES - 1], f"{len(shown) - _SHOWN_STUDIES + 1} more"]
    return joined(shown)


def _places(job: Job, sources: Sources) -> Iterator[_Place]:
    base = job.places.study_file.parent
    if isinstance(sources, bool):
        runs = job.places.run_dir.parent
        paths = sorted(file.parent for file in runs.glob(f"*/{RUN_FILE}")) if sources else []
    else:
        paths = [located(source, base) for source in sources]
    for path in paths:
        inside = path.is_relative_to(base)
        shown = str(path.relative_to(base) if inside else path)
        yield _Place(path=path, named=not isinstance(sources, bool), shown=shown)


def _stored(place: _Place) -> tuple[StorageUrl, str]:
    if not place.path.exists():
        raise UserError("nothing is there")
    if not place.path.is_file():
        return stored_study(place.path)
    file = load_study_file(place.path)
    return places_of(file, place.path).storage, file.name


def _identity(url: StorageUrl, name: str) -> tuple[str, str]:
    return (url.kept if url.file is None else os.path.realpath(url.file)), name


class _Reader:
    """Reads other studies with the eyes of one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._problem: Mapping[str, Any] = {}

    @property
    def problem(self) -> Mapping[str, Any]:
        """The job's own problem, as it is stored; made once, and only where there is something to compare."""
        if not self._problem:
            self._problem = json.loads(canonical_json(self.job.problem()))
        return self._problem

    def read(self, place: _Place, url: StorageUrl, name: str) -> list[EarlierResult]:
        """What the study contributes."""
        if url.file is None and not place.named:
            raise UserError(
                "its storage is a server, which is asked only where `warm_start` in the study file names it"
            )
        with study_for_reading(url, name) as studies:
            other = studies.mapping(PROBLEM)
            differs = [shown for key, shown in _MUST_BE_EQUAL.items() if self.problem[key] != other.get(key)]
            if differs and place.named:
                raise UserError(f"it differs in {' and '.join(differs)}")
            return [] if differs else self._results(studies, self._same_instructions(studies, other))

    def _results(self, studies: StudyStore, same_instructions: bool) -> list[EarlierResult]:
        found = []
        for trial in studies.records():
            quality = trial.evaluation.metrics.get(self.job.quality)
            complete = trial.evaluation.outcome is Outcome.COMPLETE and trial.duplicate_of is None
            if complete and quality is not None and isfinite(quality.value):
                found.append(
                    EarlierResult(
                        candidate=trial.evaluation.candidate,
                        quality=quality.value,
                        same_instructions=same_instructions,
                    )
                )
        return found

    def _same_instructions(self, studies: StudyStore, other: Mapping[str, Any]) -> bool:
        if other.get("device") == self.problem["device"]:
            return True
        # Of a device that is not this machine nothing is known before it is asked, and a card computes on
        # its own; both are left at "not known".
        profile = self.job.profile
        if profile.reach.kind != "local" or profile.gpu is not None:
            return False
        if not studies.readable:
            return False
        there = studies.unweighed().environment.get("instructions")
        return isinstance(there, list) and bool(there) and set(map(str, there)) == set(instruction_sets())


def _reason(error: Exception) -> str:
    if isinstance(error, UserError):
        parts = [error.problem, error.found]
    else:
        cause: BaseException = error
        while not isinstance(cause, ParetuneError) and cause.__cause__ is not None:
            cause = cause.__cause__
        parts = [str(cause) or type(cause).__name__]
    return ", ".join(without_passwords(part).partition("\n")[0] for part in parts if part)
