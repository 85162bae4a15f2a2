"""A run's artifacts as they are, on another version of the runtime: the same numbers, as fast, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.words import joined
from ..bundles.files import is_bundle
from ..checks.decide import decided
from ..checks.tolerances import read_tolerances
from ..record.checks import OUTPUTS, VERSIONS, Advice, Checked, CheckOutcome, MetricCheck
from ..record.evaluation import StudyRecord
from ..record.progress import Progress
from ..run.stored import open_run
from ..workload.task import UNKNOWN
from .advice import advised, failed_of
from .findings import Findings, Rechecking
from .interpreter import interpreter
from .kept import KeptArtifact, chosen_trials, kept_artifacts
from .levels import off
from .questions import AskedSamples, StudyNow, guard_of, questions_of, study_now, why_not
from .recompile import recompiled
from .where import Asking, in_environment, on_device, other_device


def recheck(
    run: Path,
    *,
    python: str | None = None,
    profile: str | None = None,
    trials: Sequence[int] = (),
    tolerate: Sequence[str] = (),
    progress: Progress | None = None,
) -> Checked:
    """Check the artifacts of a run as they are in another Python environment of this machine, or on another
    device.

    `run` is the study file or the run's directory, `python` the other environment: its folder or its Python,
    where numpy and the runtime are enough; `profile` another device, whose outputs are held against those of
    this machine. `trials` are numbers (none: the finalists on the front), `tolerate` what counts
    ("latency 3 %"). In two environments speed is measured side by side, in the same rounds. Artifacts that
    fail are compiled once more there, and checked again.

    Raises:
        UserError: there is no such run or trial, the environment or the device lacks what a runner needs, or
            both were named, or none.
    """
    progress = progress or Progress()
    _check_asked(run, python, profile)
    record, run_dir = open_run(run)
    tolerances = read_tolerances(tolerate, record.quality)
    numbers = chosen_trials(record, trials)
    found = interpreter(python) if python is not None else None
    progress.stage("the workload of the run")
    now, remark = _now(run, record, run_dir, progress)
    if python is not None and record.host:
        away = f"the study's device is {record.profile}: both environments are of this machine, not of it"
        progress.note(away)
        remark = "; ".join(filter(None, (remark, away)))
    device = other_device(profile, run, now) if profile is not None else None
    artifacts = kept_artifacts(run, record, numbers, progress)
    asking = Asking(
        run=run, record=record, now=now, tolerances=tolerances, progress=progress, guard=guard_of(now)
    )
    if device is not None:
        rechecking = on_device(asking, device, artifacts)
    else:
        assert found is not None
        rechecking = in_environment(asking, found, artifacts)
    try:
        told = _Recheck(rechecking=rechecking, record=record, now=now, remark=remark, into=run_dir)
        return told.checked(artifacts)
    finally:
        rechecking.openings.lease.close()


@dataclass(frozen=True, kw_only=True)
class _Recheck:
    rechecking: Rechecking
    record: StudyRecord
    now: StudyNow | None
    remark: str
    into: Path

    def checked(self, artifacts: Sequence[KeptArtifact]) -> Checked:
        """All artifacts; those that fail are recompiled where that can be."""
        task = str(self.record.teacher.get("task") or UNKNOWN)
        asked = {one.number: questions_of(self.now, one, task) for one in artifacts}
        found = [self.rechecking.findings(one, asked[one.number]) for one in artifacts]
        tolerances = self.rechecking.tolerances
        checks = list(decided([told for one in found for told in one.all_evidence(tolerances)]))
        checks += [check for one in found for check in (*one.noted, *level_checks(one))]
        advice = []
        for one in found:
            if not one.lacking:
                told, further = self._advice(one, checks, asked[one.artifact.number])
                advice.append(told)
                checks += further
        before, after = self.rechecking.before, self.rechecking.after
        return Checked(
            of=f"run {self.record.name} {'on' if self.rechecking.away else 'in'} {after.title}",
            against=before.title,
            checks=(*self._versions(artifacts), *checks),
            advice=tuple(advice),
            environment={**dict(after.packages), **({"remark": self.remark} if self.remark else {})},
        )

    def _versions(self, artifacts: Sequence[KeptArtifact]) -> list[MetricCheck]:
        before, after = self.rechecking.before, self.rechecking.after
        told = []
        for backend in dict.fromkeys(one.backend for one in artifacts):
            there = after.runtime(backend) if not after.lacks(backend) else "not there"
            said = f"{there}; {before.runtime(backend)} in {before.title}"
            if self._upgraded(backend):
                said += f"; the study ran with {self._recorded(backend)}"
            told.append(
                MetricCheck(subject=backend, metric=VERSIONS, outcome=CheckOutcome.NOTED, reason=said)
            )
        return told

    def _recorded_versions(self, backend: str) -> dict[str, str]:
        there = self.record.environment.get("packages") or {}
        return {name: str(there[name]) for name in self.rechecking.before.versions(backend) if name in there}

    def _recorded(self, backend: str) -> str:
        return joined(
            tuple(f"{name} {version}" for name, version in self._recorded_versions(backend).items())
        )

    def _upgraded(self, backend: str) -> bool:
        known = self._recorded_versions(backend)
        return bool(known) and known != self.rechecking.before.versions(backend)

    def _advice(
        self, findings: Findings, checks: Sequence[MetricCheck], questions: AskedSamples
    ) -> tuple[Advice, tuple[MetricCheck, ...]]:
        rechecking, subject = self.rechecking, findings.subject
        before, after = rechecking.before, rechecking.after
        if not failed_of(checks, subject) or findings.blame.before:
            return advised(findings, checks, before, after), ()
        if rechecking.away:
            tried = (
                f"`paretune retarget --profile {rechecking.profile.name}` compiles what a study has for it"
            )
            return advised(findings, checks, before, after, tried=tried), ()
        rechecking.progress.stage(f"{subject}: compiling it anew in {after.title}")
        into = self.into / "recheck" / subject.replace(" ", "-")
        made = recompiled(findings.artifact, after, self.now, into, rechecking.openings.guard)
        if made.artifact is None:
            tried = f"to compile it anew there was tried, and is not possible: {made.reason}"
            return advised(findings, checks, before, after, tried=tried), ()
        again = rechecking.of_recompiled(findings.artifact, made.artifact, questions)
        further = decided(again.evidence)
        if bad := failed_of(further, again.subject):
            tried = f"compiled anew there it fails as well: {joined([one.metric for one in bad])}"
            return advised(findings, checks, before, after, tried=tried), ()
        return advised(findings, checks, before, after, made=str(made.artifact.file)), further


def level_checks(findings: Findings) -> list[MetricCheck]:
    """The levels on which results depend: where they did not before, that is a failure of the runtime."""
    found = []
    for level in findings.levels:
        after = level.after
        if after is None:
            continue
        new = off(after) and level.before is not None and not off(level.before)
        said = "its results depend on it " + (
            "here and not before" if new else "in both" if off(after) else "no more"
        )
        outcome = CheckOutcome.FAILED if new else CheckOutcome.NOTED
        found.append(
            MetricCheck(
                subject=f"{findings.artifact.title}, {level.title}",
                metric=OUTPUTS,
                outcome=outcome,
                found=after.found,
                reason=f"{said} ({after.reason} from the default)",
            )
        )
    return found


def _check_asked(run: Path, python: str | None, profile: str | None) -> None:
    if run.is_dir() and is_bundle(run):
        raise UserError(
            "this is a bundle, not a run",
            place=str(run),
            accepted="the study file, or the directory of its run (runs/NAME)",
            remedy=f"`paretune verify {run}` checks a bundle",
        )
    if (python is None) == (profile is None):
        raise UserError(
            "it is not said what the artifacts are to be checked on",
            found="neither --python nor --profile" if python is None else "--python and --profile",
            accepted="--python ENVIRONMENT (another version of the runtime), or --profile DEVICE",
            remedy="python3 -m venv FOLDER; FOLDER/bin/pip install numpy RUNTIME==VERSION; --python FOLDER",
        )


def _now(run: Path, record: StudyRecord, run_dir: Path, progress: Progress) -> tuple[StudyNow | None, str]:
    try:
        now = study_now(run, record, run_dir, progress)
    except UserError as error:
        progress.note(why_not(error))
        return None, why_not(error)
    if now.remark:
        progress.note(now.remark)
    return now, now.remark
