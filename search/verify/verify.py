"""`verify`: does a bundle still do here what its manifest says?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...backends.measure.samples import REFERENCE, LatencyPlan
from ...backends.registry import probes
from ...backends.runner.client import Guard
from ...profiles.devices.loader import load_profile
from ...profiles.devices.schema import Profile
from ...profiles.errors import StageError, UnsupportedError, UserError, at_place
from ...profiles.words import listed
from ..bundles.bundle import Bundle, damages, read_bundle
from ..bundles.files import is_bundle
from ..checks.evidence import Evidence, Question, fact, skipped
from ..checks.tolerances import Tolerance, Tolerances, read_tolerances
from ..job.reached import reach
from ..record.checks import DECISIONS, FILES, OUTPUTS, Advice, Checked, CheckOutcome, MetricCheck, NextStep
from ..record.progress import Progress
from ..record.stops import DeviceGoneError
from ..workload.metric import Metric
from ..workload.outputs import OutputChoice
from .costs import CostChecks
from .given import Labelled, metric_of, of_study, read_data
from .inspection import Inspection, Timed
from .machine import alike, busy, check_runtime, environment_of, gone, other_machine, versions_check
from .numerics import numerics
from .quality import on_data, on_samples, question_of
from .recorded import RecordedSamples, recorded_of
from .settled import CheckOrEvidence, advice_on, broken, figure, left_out, noted, settled
from .shipped import Array, Shipped, of_bundle, of_reference

PATIENCE_S = 60.0
"""So long a device that does not answer any more is waited for."""
PLAN = LatencyPlan(rounds=25, min_rounds=5, limit_s=10.0)
"""A verification takes seconds; a model that takes long for one run has fewer rounds."""
_AGAINST = "its manifest"
_COSTS = ("latency_ratio", "latency_ms", "memory_bytes", "load_ms")


def verify(
    bundle: Path,
    profile: str = "host",
    *,
    data: Path | None = None,
    study: Path | None = None,
    tolerate: Sequence[str] = (),
    progress: Progress | None = None,
) -> Checked:
    """Check a bundle on a device against its manifest: its files, its outputs on its own samples, quality on
    these and on `data` (a file of arrays by input name, with `targets`) or on the split of a `study`, latency
    as the ratio to the reference that travels along, memory and load time. Neither the study nor its store is
    needed. `tolerate` has what may be worse: "latency 3 %", "accuracy 0.2 pt".

    Raises:
        UserError: it cannot be checked: no bundle, a runtime that is not there, a device that cannot be
            reached, data that does not fit.
    """
    read = _read(bundle)
    tolerances = read_tolerances(tolerate, read.quality)
    files = _files(read)
    if files.outcome is CheckOutcome.FAILED:
        return _untrusted(bundle, files)
    one = of_bundle(read)
    given = [read_data(data, one)] if data is not None else []
    metric = metric_of(read)
    if study is not None:
        labelled, metric = of_study(study, read)
        given.append(labelled)
    device = _device(profile)
    guard = Guard(patience_s=PATIENCE_S)
    reached = reach(device, guard, read.threads)
    with Inspection(reached, who=f"verify {bundle.name}", guard=guard, progress=progress) as inspection:
        for remark in reached.remarks:
            inspection.progress.note(remark)
        asked = _Verification(read, one, inspection, tolerances, metric)
        try:
            return asked.checked(files, given)
        except DeviceGoneError as error:
            raise _away(reached.launch.device, error) from error


def _read(folder: Path) -> Bundle:
    """The bundle; who names a run is told where its bundle lies."""
    if not is_bundle(folder) and is_bundle(inner := folder / "bundle"):
        raise UserError(
            "this is a run, which has its bundle inside",
            place=str(folder),
            remedy=f"`paretune verify {inner}` checks that one",
        )
    return read_bundle(folder)


def _device(named: str) -> Profile:
    with at_place("--profile"):
        profile = load_profile(named, probes=probes())
        if profile.reach.kind == "none":
            raise UserError(
                f"a bundle can only be checked where it runs, and how {profile.name} is reached is not said",
                accepted="`host` for this machine, or a profile with `reach: {kind: ssh, host: ...}`",
                remedy="copy the profile to a file, add `reach` to it, and name that file",
            )
    return profile


def _files(bundle: Bundle) -> MetricCheck:
    """Each file is what was written, by its hash."""
    found = damages(bundle)
    question = Question(subject="the bundle", metric=FILES, tolerance=Tolerance(amount=0.0), higher=False)
    said = listed(f"{name}: {why}" for name, why in found.items())
    return settled([fact(question, len(found), said or f"all {len(bundle.files)} are whole")])[0]


def _untrusted(bundle: Path, files: MetricCheck) -> Checked:
    why = "a file of the bundle is damaged, so that nothing else of it is believed"
    again = Advice(
        subject="the bundle", step=NextStep.LOOK, reason="copy it again, or let `paretune export` write it"
    )
    checks = (files, *left_out("the bundle", (OUTPUTS, DECISIONS, *_COSTS), why))
    return Checked(of=str(bundle), against=_AGAINST, checks=checks, advice=(again,))


def _away(device: str, error: DeviceGoneError) -> UserError:
    return UserError(
        f"the bundle could not be checked: device {device} cannot be reached any more",
        found=error.found,
        remedy="see that it is switched on and in the network, and check again",
    )


def _judged(evidence: Evidence, but: str) -> CheckOrEvidence:
    """It is decided with all others; for information alone where something speaks against that."""
    return noted(evidence, but) if but else evidence


class _Verification:
    """One bundle on one device that was reached."""

    def __init__(
        self,
        bundle: Bundle,
        one: Shipped,
        inspection: Inspection,
        tolerances: Tolerances,
        metric: Metric | None,
    ) -> None:
        self.bundle, self.one, self.inspection = bundle, one, inspection
        self.tolerances, self.metric = tolerances, metric
        self.recorded = recorded_of(bundle)
        self.now = environment_of(inspection.reached)

    def checked(self, files: MetricCheck, given: Sequence[Labelled]) -> Checked:
        check_runtime(self.inspection, self.one)
        versions = versions_check(self.one, self.now)
        if versions.outcome is CheckOutcome.WARNING:
            self.inspection.progress.note(versions.reason)
        found: list[CheckOrEvidence] = [files, versions]
        answered, cause = self._answered(self.recorded.inputs if self.recorded else {})
        if cause:
            found += [broken(self.one.name, OUTPUTS, cause)]
            left = (DECISIONS, self.bundle.quality, *_COSTS)
            found += left_out(self.one.name, left, "it does not run here")
        else:
            found += self._of_outputs(answered, pinned=versions.outcome is CheckOutcome.PASSED)
            found += [check for labelled in given for check in self._of_data(labelled)]
            found += self._of_costs()
        checks = settled(found)
        return Checked(
            of=str(self.bundle.folder),
            against=_AGAINST,
            checks=checks,
            advice=advice_on(self.one, checks),
            environment=self._environment(),
        )

    def _answered(self, data: Mapping[str, Array]) -> tuple[dict[str, Array], str]:
        """What it gives for samples, or why it does not run. Nothing where there are none."""
        if not data:
            return {}, ""
        self.inspection.progress.stage(f"outputs on {len(next(iter(data.values())))} samples")
        try:
            return self.inspection.outputs(self.one, data), ""
        except (StageError, UnsupportedError) as error:
            return {}, self._cause(error)

    def _cause(self, error: StageError | UnsupportedError) -> str:
        """Why it does not run here, where that is its own fault."""
        if isinstance(error, UnsupportedError):
            return error.reason
        if error.outside:
            raise gone(error, self.inspection.reached.launch.device) from error
        return error.cause

    def _of_outputs(self, now: Mapping[str, Array], *, pinned: bool) -> list[CheckOrEvidence]:
        recorded = self.recorded
        question = question_of(
            self.one.name, self.bundle.quality, self.tolerances, higher=self.bundle.higher_is_better
        )
        if recorded is None:
            why = "it has no samples with what it gave for them: export it again"
            return [*left_out(self.one.name, (OUTPUTS, DECISIONS), why), skipped(question, why)]
        same = alike(self.one, self.bundle.environment, self.now, pinned=pinned)
        outputs, decisions = numerics(self.one, recorded, now, same, self.tolerances)
        if self.metric is None:
            why = "its metric is the workload's own code: name the study file with --study"
            return [outputs, decisions, skipped(question, why)]
        return [outputs, decisions, on_samples(question, self.metric, recorded, now)]

    def _of_data(self, labelled: Labelled) -> list[CheckOrEvidence]:
        """Quality on what the user gave, against that of the manifest."""
        question = question_of(
            labelled.name, self.bundle.quality, self.tolerances, higher=self.bundle.higher_is_better
        )
        expected = self.bundle.metrics.get(self.bundle.quality)
        if self.metric is None or expected is None:
            why = "its metric is the workload's own code: name the study file with --study"
            return [skipped(question, why if self.metric is None else "none was recorded")]
        now, cause = self._answered(labelled.inputs)
        if cause:
            return [broken(labelled.name, self.bundle.quality, cause)]
        choice, targets, same = self._choice(now), labelled.targets, labelled.recorded
        return [on_data(question, self.metric, choice, now, targets, expected, same_samples=same)]

    def _choice(self, now: Mapping[str, Array]) -> OutputChoice:
        if self.recorded is not None:
            return self.recorded.choice
        names = tuple(now)
        return OutputChoice(names=names, primary=names[0], scored=names[:1])

    def _of_costs(self) -> list[CheckOrEvidence]:
        if self.recorded is None:
            return [*left_out(self.one.name, _COSTS, "it has no samples to be run with: export it again")]
        timed, without, cause = self._timed(self.recorded)
        if timed is None:
            return [
                broken(self.one.name, "latency_ms", cause),
                *left_out(self.one.name, ("memory_bytes", "load_ms"), cause),
            ]
        used = busy(self.now)
        costs = CostChecks(timed=timed, name=self.one.name, tolerances=self.tolerances, busy=bool(used))
        metrics = self.bundle.metrics
        other = other_machine(self.bundle.environment, self.now)
        if self.bundle.estimated:
            other = "what the manifest says was estimated, not measured"
        return [
            self._ratio(costs, other, without),
            figure(
                self.one.name,
                "latency_ms",
                metrics.get("latency_ms"),
                costs.latency(),
                other or "absolute times move with the machine's state: the ratio decides",
            ),
            _judged(costs.memory(metrics.get("memory_bytes")), other),
            _judged(costs.load(metrics.get("load_ms")), other or used),
        ]

    def _ratio(self, costs: CostChecks, other: str, without: str) -> CheckOrEvidence:
        reference = self.bundle.reference
        question = costs.question("latency_ratio")
        if reference is None:
            why = self.bundle.left_out.get("reference", "export it again")
            return skipped(question, f"no reference travels along in this bundle: {why}")
        if without:
            return skipped(question, f"the reference does not run here: {without}")
        return _judged(costs.ratio(reference.ratio), other)

    def _timed(self, recorded: RecordedSamples) -> tuple[Timed | None, str, str]:
        """What was measured; why without the reference, and why not at all."""
        subjects = {self.one.name: self.one}
        without = ""
        if self.bundle.reference is not None:
            try:
                other = of_reference(self.bundle.reference)
                return self._measured({**subjects, REFERENCE: other}, recorded), "", ""
            except (StageError, UnsupportedError) as error:
                without = self._cause(error)
        try:
            return self._measured(subjects, recorded), without, ""
        except (StageError, UnsupportedError) as error:
            return None, without, self._cause(error)

    def _measured(self, subjects: Mapping[str, Shipped], recorded: RecordedSamples) -> Timed:
        self.inspection.progress.stage("latency, interleaved with the reference")
        return self.inspection.timed(subjects, recorded.inputs, PLAN)

    def _environment(self) -> dict[str, str]:
        named = {"device": self.inspection.reached.launch.device, "processor": self.now.get("processor")}
        known = {name: value for name, value in named.items() if value}
        return {name: str(value) for name, value in {**known, **(self.now.get("packages") or {})}.items()}
