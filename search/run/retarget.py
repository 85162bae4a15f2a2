"""A study that was run before, for another device: what it trained is reused, and nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...profiles.devices.shown import device_identity
from ...profiles.errors import UserError
from ...profiles.files import is_file
from ...profiles.standard_descriptors import open_standard_descriptors
from ...profiles.words import joined
from ..driver.budget import Budget, StopFlag
from ..driver.plan import SearchPlan
from ..job.job import Job, load_job
from ..job.places import places_of
from ..job.study_file import load_study_file
from ..ranking.known import complete_trials, trial_of
from ..ranking.ranking import rank
from ..record.candidate import Candidate
from ..record.digest import canonical_json
from ..record.estimated import RESTS_ON
from ..record.evaluation import StudyRecord
from ..record.progress import Progress
from ..record.training import TrainingKey, needed, training_key, trainings_ended
from ..record.treatment import UNTREATED, Treatment
from ..space.kept import of_kept
from ..space.space import Space
from ..stages.models.base import Models
from ..stages.models.kept import lost
from ..stages.models.load import kept_models
from ..storage.read_only import study_for_reading
from ..storage.run_file import RUN_FILE, read_run_file
from ..storage.same_problem import PROBLEM
from ..store.store import Store
from .absent import Absent, with_measurements
from .fleet_runs import first_run
from .kind import StudyKind
from .session import SessionEnd, run_job
from .stored import stored_study

_MAY_DIFFER = {"device", "constraints"}
"""Of two problems, that a retargeted study and its first one may differ in."""


@dataclass(frozen=True, kw_only=True)
class FirstStudy:
    """The study whose models are reused. `problem` is what it searched; `record` is None where it did not
    come so far as to have one."""

    name: str
    study_file: Path
    run_dir: Path
    problem: Mapping[str, Any]
    record: StudyRecord | None


def retarget_study(
    path: Path,
    profile: str,
    where: Sequence[str] = (),
    progress: Progress | None = None,
    stop: StopFlag | None = None,
    *,
    again: bool = False,
    absent: Absent | None = None,
) -> SessionEnd:
    """Run or resume the study of `path` (its file, or the directory of its run) for another profile.

    It is a study of its own, in a run directory of its own beside that of the first, which stays as it is.
    `where` are limits in place of the study file's on the same metrics. `absent`: the other device cannot be
    reached, and is estimated.

    Raises:
        UserError: the first study was not run, its file describes something else by now, the profile is that
            of the study itself, or the store has nothing that it trained.
    """
    open_standard_descriptors()
    first = first_study(path)
    job = retarget_job(first.study_file, first.name, profile, where, estimate=absent is not None)
    _check_problem(job, first)
    _check_resumed(job)
    job = with_measurements(job, absent)
    return run_job(job, Retarget(first.name, first.record), progress, stop, again=again)


def first_study(path: Path) -> FirstStudy:
    """The study of a study file, or of the directory of its run. That of a retargeted run leads to the first.

    Raises:
        UserError: it was not run yet, or its file is gone or names another study by now.
    """
    run_dir = first_run(path)
    run = read_run_file(run_dir)
    study_file = path if is_file(path) else _file_of(run_dir, run.study_file, run.name)
    url, name = stored_study(run_dir)
    with study_for_reading(url, name) as studies:
        record = studies.unweighed() if studies.readable else None
        problem = studies.mapping(PROBLEM)
    return FirstStudy(name=name, study_file=study_file, run_dir=run_dir, problem=problem, record=record)


def _file_of(run_dir: Path, study_file: Path, name: str) -> Path:
    if not study_file.is_file():
        raise UserError(
            "the study file of this run is gone, which is needed to retarget it",
            place=str(run_dir),
            found=f"nothing at {study_file}",
            remedy="name the study file in place of the run's directory",
        )
    written = load_study_file(study_file).name
    if written != name:
        raise UserError(
            "the study file of this run names another study by now",
            place=str(study_file),
            found=f"name: {written}",
            accepted=f"name: {name}",
            remedy="undo the change, or retarget the study of that name",
        )
    return study_file


def retarget_job(
    study_file: Path, of: str, profile: str, where: Sequence[str] = (), *, estimate: bool = False
) -> Job:
    """The job of the study `of`, for another profile, under a name and in places of its own."""
    job = load_job(study_file, profile, where, estimate=estimate)
    file = job.file.model_copy(update={"name": f"{of}-on-{job.profile.name}"})
    return replace(job, file=file, places=places_of(file, study_file), of=of)


def _check_problem(job: Job, first: FirstStudy) -> None:
    """What was trained is found again where workload, data and settings are those of the first study."""
    problem = json.loads(canonical_json(job.problem()))
    if first.problem.get("device") == device_identity(job.profile):
        raise UserError(
            f"{job.profile.name} is the device of the study {first.name!r} itself",
            place="--profile",
            accepted="the profile of another device",
            remedy="`paretune run STUDY` goes on with the study on its own device",
        )
    keys = (set(problem) | set(first.problem)) - _MAY_DIFFER - {"retargets", RESTS_ON}
    differs = sorted(key for key in keys if problem.get(key) != first.problem.get(key))
    if differs:
        raise UserError(
            f"the study file describes another problem than the study {first.name!r} that was run",
            place=str(first.study_file),
            found=f"{joined(differs)} changed since",
            accepted="the same problem for another device; limits, budget and preferences may change",
            remedy="undo the change, or run the study as it is now under another `name` first",
        )


def _check_resumed(job: Job) -> None:
    """What lies there already must be this study."""
    run_dir = job.places.run_dir
    if not (run_dir / RUN_FILE).is_file():
        return
    run = read_run_file(run_dir)
    if run.of != job.of:
        raise UserError(
            f"another study has the name {job.file.name!r}",
            place=str(run_dir),
            found=f"the retargeted study of {run.of}" if run.of else "a study that was not retargeted",
            remedy="give the profile another `name`, or move that run away",
        )
    before: Mapping[str, Any] = {}
    with suppress(UserError), study_for_reading(*stored_study(run_dir)) as studies:
        before = studies.mapping(PROBLEM) if studies.records() else {}
    if before and before.get("device") != device_identity(job.profile):
        raise UserError(
            f"the study {job.file.name!r} was run on another device of the name {job.profile.name!r}",
            place=str(run_dir),
            found="the profile names another address, processor or GPU than it did then",
            remedy="give the profile another `name`; or move that run away",
        )
    limits = before.get("constraints", [])
    if before and limits != sorted(job.file.constraints):
        raise UserError(
            f"the study {job.file.name!r} was begun with other limits",
            place="--where or constraints",
            found="; ".join(sorted(job.file.constraints)) or "no limits",
            accepted="; ".join(map(str, limits)) or "no limits",
            remedy=f"give the same ones to go on; `paretune choose {run_dir} --where ...` answers for others "
            "at no cost; to search under them, move that run away",
        )


class Retarget(StudyKind):
    """A study that reuses the models of the study `name`, whose record tells what it found."""

    def __init__(self, name: str, record: StudyRecord | None = None) -> None:
        self.name, self.record = name, record
        self._trained = frozenset() if record is None else trained_in(record)
        self._space: Space | None = None
        self._treated: dict[str, Treatment] = {}
        self._untrained = 0

    def models(self, job: Job, store: Store, progress: Progress, budget: Budget) -> Models:
        """Models without a trainer."""
        return kept_models(
            job.loaded, store, progress, job.file.training.threads, job.space.recipe, self.name
        )

    def space(self, space: Space, models: Models) -> Space:
        """What of the space was trained."""
        kept = models.kept(space)
        self._carry_treatments(models)
        self._space = space if kept is None else of_kept(space, kept, self._why_not)
        return self._space

    def plan(self, plan: SearchPlan) -> SearchPlan:
        """What was on the first study's front comes first."""
        remarks = filter(None, (self._remark(plan.space), self._lost_training()))
        frame = replace(plan.frame, remarks=(*remarks, *plan.frame.remarks))
        return replace(plan, frame=frame, first=self._first(plan.space), beyond=self._beyond)

    def treated(self) -> Mapping[str, Treatment]:
        """What repaired a candidate there repairs it here, as far as the weights for it are there."""
        return self._treated

    def _carry_treatments(self, models: Models) -> None:
        trials = [] if self.record is None else complete_trials(self.record)
        for evaluation in (trial.evaluation for trial in trials):
            candidate, treatment = evaluation.candidate, evaluation.treatment
            if treatment != UNTREATED and models.has(candidate, treatment.qat):
                self._treated[candidate.digest] = treatment
            self._untrained += treatment.qat is not None and candidate.digest not in self._treated

    def _first(self, space: Space) -> tuple[Candidate, ...]:
        """What was on the front there, the best first."""
        if self.record is None:
            return ()
        numbers = [entry.number for entry in rank(self.record).entries if entry.on_front]
        found = (trial_of(self.record, number).evaluation.candidate for number in numbers)
        return tuple(candidate for candidate in found if candidate in space and space.looks_at(candidate))

    def _beyond(self, candidate: Candidate) -> str:
        looks_at = self._space is None or self._space.looks_at(candidate)
        return "" if looks_at else self._why_not(candidate)

    def _why_not(self, candidate: Candidate) -> str:
        if training_key(candidate) in self._trained:
            return lost(self.name)
        return f"was not trained in {self.name}"

    def _remark(self, space: Space) -> str:
        if not space.trains:
            return f"retargeted from {self.name}: the same model on another device"
        count = len(space.kept or ())
        return (
            f"retargeted from {self.name}: nothing is trained; its teacher and {count} trained "
            f"{'model' if count == 1 else 'models'} are reused"
        )

    def _lost_training(self) -> str:
        count = self._untrained
        if not count:
            return ""
        return (
            f"the quantization-aware training that {self.name} gave {count} of its candidates is gone from "
            "the store: they are tried without it"
        )


def trained_in(record: StudyRecord) -> frozenset[TrainingKey]:
    """The trainings that came to their end in a study."""
    evaluations = [trial.evaluation for trial in record.trials if trial.duplicate_of is None]
    evaluations += [audited.evaluation for audited in record.audit]
    return frozenset(
        training_key(evaluation.candidate)
        for evaluation in evaluations
        if needed(evaluation.candidate)
        and len(trainings_ended(evaluation)) == len(needed(evaluation.candidate))
    )
