"""One candidate through all stages: train, export, compile, score, measure; and the trace of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...backends.measure.summary import summarize
from ...backends.measure.watched import watched
from ...backends.registry import get_backend
from ...profiles.guard.user_code import user_code
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Quantity, StageRecord
from ..record.protocols import Hardware, MilestoneJudge
from ..record.samples import SampleResults
from ..record.setting import Setting
from ..record.stops import TrainingStopped
from ..record.treatment import UNTREATED, QatPlan, Treatment
from ..record.tuned import Tuned
from ..store.store import Entry
from ..workload.workload import Array, Split
from .deployment.further import Further, Subject, all_told
from .deployment.memory import memory_of_measured
from .deployment.sustained import SustainedAsked
from .device.a_a import read_rounds
from .device.kept_outputs import primary_outputs
from .device.measured_where import measured_where
from .device.quantities import latency_quantities
from .device.sampled import Seen, unseen
from .device.stages import CANDIDATE, DeviceStages
from .models.base import Models


@dataclass
class Trace:
    """What one evaluation went through: stages in order, each once, and what the gate measured. `made` is
    what the last entry of each stage took when it was made, in seconds. `remarks` are what trainings
    found out about the teacher, `notes` what they have to say about the student; `tuned` is what tuning told.
    """

    stages: list[StageRecord] = field(default_factory=list)
    at_hand: str = "build"
    gate: dict[str, Quantity] = field(default_factory=dict)
    made: dict[str, float] = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    tuned: Tuned | None = None

    def add(self, entry: Entry) -> Entry:
        """Remember an entry; answered from the store means that no time was spent on it now."""
        self.at_hand = f"after {entry.stage}"
        self.made[entry.stage] = entry.made_seconds
        self.remarks |= dict.fromkeys(map(str, entry.meta.get("remarks", ())))
        self.notes |= dict.fromkeys(map(str, entry.meta.get("notes", ())))
        if all(stage.key != entry.key for stage in self.stages):
            seconds = 0.0 if entry.cached else entry.seconds
            curve = tuple((int(epoch), float(value)) for epoch, value in entry.meta.get("curve", ()))
            self.stages.append(
                StageRecord(
                    name=entry.stage, key=entry.key, cached=entry.cached, seconds=seconds, curve=curve
                )
            )
        return entry

    def stopped(self, stop: TrainingStopped) -> None:
        """Remember a training that was given up."""
        milestone = stop.milestone
        self.stages.append(
            StageRecord(
                name=milestone.kind,
                key=milestone.key,
                cached=False,
                seconds=stop.seconds,
                curve=milestone.curve,
            )
        )


class Chain:
    """Models and device together. `checkpoint` is called between stages and may raise Interrupted. `further`
    is asked of every artifact that is measured, `of_finalists` of finalists. `measures`: there is a device.
    `sustained` is for how long finalists are kept at work.
    """

    measures = True
    sustained: SustainedAsked | None = None

    def __init__(
        self,
        models: Models,
        device: DeviceStages,
        checkpoint: Callable[[], None] = lambda: None,
        further: Sequence[Further] = (),
        of_finalists: Sequence[Further] = (),
    ) -> None:
        self.models, self.device, self.checkpoint = models, device, checkpoint
        self.further, self.of_finalists = further, of_finalists

    def source(
        self,
        candidate: Candidate,
        trace: Trace,
        *,
        trained: bool = True,
        at_milestone: MilestoneJudge | None = None,
        qat: QatPlan | None = None,
        batch: int | None = None,
    ) -> Entry:
        """The candidate's float model in its backend's format, trained on the way where it was not yet; for a
        `batch` other than the study's, where the format fixes it."""
        # Code of the user's own runs in many places here: exporters trace it, cutting looks into it.
        with user_code("the workload's code", around=True):
            return self.models.exported(
                candidate,
                get_backend(candidate.backend),
                batch or self.device.deployment.batch,
                trained=trained,
                note=trace.add,
                judge=at_milestone,
                qat=qat,
            )

    def compiled(
        self,
        candidate: Candidate,
        trace: Trace,
        *,
        trained: bool = True,
        at_milestone: MilestoneJudge | None = None,
        treatment: Treatment = UNTREATED,
        checked: bool = True,
        setting: Setting | None = None,
    ) -> Entry:
        """The candidate's artifact, as the treatment changes it. Trained ones are compared with the float
        model, unless `checked` is false. By another `setting` than the study's it may be another artifact;
        what was found by tuning holds for the study's batch alone."""
        how = setting or self.device.deployment.usual
        source = self.source(
            candidate,
            trace,
            trained=trained,
            at_milestone=at_milestone,
            qat=treatment.qat,
            batch=how.batch,
        )
        self.checkpoint()
        tuned = self.tuned(candidate, trace) if how.batch == self.device.deployment.batch else None
        self.checkpoint()
        data = self.models.calibration()
        check, outputs = trained and checked, self.models.outputs
        return trace.add(self.device.compiled(candidate, source, data, check, treatment, outputs, tuned, how))

    def tuned(self, candidate: Candidate, trace: Trace) -> Entry | None:
        """What was found for the candidate's structure; None where its backend is not tuned. Weights do not
        matter to it, so that all trained models of one structure share it."""
        if self.device.tuner.budget_of(candidate.backend) is None:
            return None
        plain = candidate.hardware_class()
        source = self.source(plain, trace, trained=False)
        found = trace.add(self.device.tuner.tuned(plain, source, self.checkpoint))
        said = found.meta
        trace.tuned = Tuned(seconds=said["seconds"], facts=said["facts"], note=said["note"])
        return found

    def untuned_latency(self, candidate: Candidate, reference_ms: float | None) -> Quantity:
        """What a tuned candidate's structure takes without its tuning.

        Raises:
            StageError: that does not run.
        """
        plain = candidate.hardware_class()
        data = self.models.calibration()
        source = self.source(plain, Trace(), trained=False)
        entry = self.device.compiled(plain, source, data, check=False, outputs=self.models.outputs)
        measured = self.device.measured(entry, candidate.backend, brief=True)
        summary = summarize(read_rounds(measured), "candidate", self.device.spread)
        return latency_quantities(summary, reference_ms)["latency_ms"]

    def is_tuned(self, candidate: Candidate) -> bool:
        """Whether the structure of a candidate, whose backend is tuned, was tuned before."""
        plain = candidate.hardware_class()
        return self.device.tuner.is_tuned(plain, self.source(plain, Trace(), trained=False))

    def artifact(self, evaluation: Evaluation, setting: Setting | None = None) -> Entry:
        """The artifact of a complete evaluation, made again if the store lost it; by another `setting`, the
        one of the same model that is run so."""
        return self.compiled(evaluation.candidate, Trace(), treatment=evaluation.treatment, setting=setting)

    def scored(
        self,
        candidate: Candidate,
        compiled: Entry,
        trace: Trace,
        *,
        split: str,
        first: int = 0,
        setting: Setting | None = None,
        seen: Seen = unseen,
    ) -> Entry:
        """Score an artifact on a split, or on its `first` samples (0: all)."""
        samples, digest = head_of(*self.models.split(split), first)
        metric, choice = self.models.metric, self.models.outputs
        return trace.add(
            self.device.scored(compiled, candidate.backend, samples, digest, metric, choice, setting, seen)
        )

    def quality(
        self,
        candidate: Candidate,
        compiled: Entry,
        trace: Trace,
        *,
        split: str,
        first: int = 0,
        setting: Setting | None = None,
    ) -> Quantity:
        """Quality of an artifact over a split, or its `first` samples (0: all), with its interval."""
        meta = self.scored(candidate, compiled, trace, split=split, first=first, setting=setting).meta
        by_sample = meta["by_sample"]
        return Quantity(
            value=meta["value"],
            low=meta["low"],
            high=meta["high"],
            by_sample=None if by_sample is None else SampleResults(**by_sample),
            how=f"{meta['samples']} {split} samples through the artifact in its own runtime, "
            f"batch {(setting or self.device.deployment.usual).batch}",
        )

    def measured(
        self,
        candidate: Candidate,
        compiled: Entry,
        trace: Trace,
        *,
        reference_ms: float | None = None,
        probe: bool = False,
        leave_open: bool = False,
        setting: Setting | None = None,
    ) -> Hardware:
        """What an artifact costs on the device, the verdict on how well that could be measured, and how the
        device was meanwhile.

        `reference_ms` is the latency of the reference where that is known.
        """
        entry = trace.add(
            self.device.measured(
                compiled, candidate.backend, probe=probe, leave_open=leave_open, setting=setting
            )
        )
        rounds = read_rounds(entry)
        summary = summarize(rounds, CANDIDATE, self.device.spread)
        found = latency_quantities(summary, reference_ms)
        once = "once, in a fresh process"
        found["load_ms"] = Quantity(value=entry.meta["load_ms"], how=once)
        found["first_inference_ms"] = Quantity(value=entry.meta["first_inference_ms"], how=once)
        found.update(memory_of_measured(entry.meta))
        found.update(sizes(compiled.meta))
        subject = Subject(
            compiled=compiled,
            backend=candidate.backend,
            rounds=rounds,
            name=CANDIDATE,
            known=found,
            setting=setting,
        )
        told = all_told(self.further, subject, self.device)
        for asked in told.entries:
            trace.add(asked)
        return Hardware(
            metrics={**found, **told.metrics},
            stability=summary.verdict,
            watched=watched(rounds),
            deployed=told.deployed,
            where=measured_where(entry, rounds, self.device.spread),
        )


def head_of(samples: Split, digest: str, first: int) -> tuple[Split, str]:
    """The first samples of a split (0: all) with their digest."""
    if 0 < first < len(samples):
        return samples.head(first), f"{digest} first {first}"
    return samples, digest


def sizes(compiled: Mapping[str, Any]) -> dict[str, Quantity]:
    """Size of an artifact's file, and of the file compressed where that was taken."""
    how = {"size_bytes": "size of the artifact's file", "compressed_bytes": "the file, zlib at level 9"}
    found = {"size_bytes": compiled["artifact"]["size_bytes"]}
    if "compressed_bytes" in compiled:
        found["compressed_bytes"] = compiled["compressed_bytes"]
    return {name: Quantity(value=v, low=v, high=v, how=how[name]) for name, v in found.items()}


def outputs_of(scored: Entry) -> Array:
    """Primary output of the artifact for all samples (axis 0) of the split that it was scored on."""
    return primary_outputs(scored)
