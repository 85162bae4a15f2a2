"""How one candidate is evaluated: gate with untrained weights, train, compile, score, measure."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..backends.capability import value_dependent
from ..backends.latency import summarize
from ..backends.registry import get_backend
from ..profiles.errors import InternalError, StageError, UnsupportedError, UserError
from .budget import Interrupted
from .candidate import Candidate
from .contract import Decision, Hardware, Judge, Rung, RungJudge, Training, TrainingStopped
from .evaluation import Evaluation, Finalist, Limit, Outcome, Quantity, StageRecord, StudyRecord
from .finalists import measure_finalists
from .gate import violations
from .models import Models
from .quantities import latency_quantities
from .stages.device import DeviceStages
from .stages.rounds import read_rounds
from .store import Entry

LOG_CHARACTERS = 4000


@dataclass
class Trace:
    """What one evaluation went through: stages in order, each once, and what the gate measured."""

    stages: list[StageRecord] = field(default_factory=list)
    at_hand: str = "build"
    gate: dict[str, Quantity] = field(default_factory=dict)

    def add(self, entry: Entry) -> Entry:
        """Remember an entry; answered from the store means that no time was spent on it now."""
        self.at_hand = f"after {entry.stage}"
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
        rung = stop.rung
        self.stages.append(
            StageRecord(name=rung.kind, key=rung.key, cached=False, seconds=stop.seconds, curve=rung.curve)
        )


class Evaluator:
    """Evaluates candidates one at a time, see `CandidateEvaluator`.

    `checkpoint` is called between stages and may raise Interrupted.
    """

    def __init__(self, models: Models, device: DeviceStages, checkpoint: Callable[[], None]) -> None:
        self.models, self.device, self.checkpoint = models, device, checkpoint
        self.limits: tuple[Limit, ...] = ()
        self.reference_ms: float | None = None
        self._hardware: dict[str, Hardware] = {}

    def trains(self, candidate: Candidate) -> bool:
        """Whether the candidate needs training beyond the teacher's own."""
        return self.models.trains(candidate)

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """The trainings that the candidate needs, in order, with those that are done."""
        return self.models.trainings(candidate)

    def prepare_reference(self, candidate: Candidate) -> None:
        """Compile the reference model, which every measurement is interleaved with."""
        compiled = self._compiled(candidate, Trace(), trained=True)
        self.device.set_reference(compiled, candidate)

    def hardware(self, candidate: Candidate) -> Hardware:
        """What the candidate costs on the device, measured with untrained weights.

        Raises:
            StageError: a stage crashed, hung or ran out of memory.
        """
        return self._hardware_of(candidate, Trace())

    def evaluate(self, candidate: Candidate, judge: Judge, *, baseline: bool = False) -> Evaluation:
        """All that can be known of one candidate. Crashes of its stages end as `failed`, never raise.

        Raises:
            Interrupted: a stop was asked for; stages that ended are kept in the store.
            UserError: something that concerns the whole study (a full disk, the user's own code).
        """
        trace = Trace()
        known = Evaluation(candidate=candidate, outcome=Outcome.FAILED, baseline=baseline)
        return replace(self._ended(known, judge, trace), stages=tuple(trace.stages), gate=trace.gate)

    def _ended(self, known: Evaluation, judge: Judge, trace: Trace) -> Evaluation:
        try:
            return self._gated_or_complete(known, judge, trace)
        except (InternalError, UserError, Interrupted):
            raise
        except TrainingStopped as stop:
            trace.stopped(stop)
            gated = self._gated(known, Decision(reason=stop.reason, bound=stop.bound), trace)
            return replace(gated, stopped_epoch=stop.rung.curve[-1][0])
        except UnsupportedError as error:
            return replace(known, outcome=Outcome.REFUSED, reason=error.reason)
        except StageError as error:
            return replace(known, stage=error.stage, cause=error.cause, log=error.log[-LOG_CHARACTERS:])
        except Exception as error:
            # Whatever a library or the user's code raises concerns this candidate alone.
            cause = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            log = traceback.format_exc()[-LOG_CHARACTERS:]
            return replace(known, stage=trace.at_hand, cause=cause, log=log)

    def _gated_or_complete(self, known: Evaluation, judge: Judge, trace: Trace) -> Evaluation:
        candidate = known.candidate
        if not self._worth_measuring_first(candidate):
            return self._complete(known, candidate, judge, trace)
        hardware = self._hardware_of(candidate, trace)
        if hardware.refused:
            return replace(known, outcome=Outcome.REFUSED, reason=hardware.refused)
        trace.gate = dict(hardware.metrics)
        if hardware.doubt:
            known = replace(known, notes=(f"the gate did not decide: {hardware.doubt}",))
        decision = judge.before_training(candidate, hardware)
        if decision is not None:
            return self._gated(known, decision, trace)
        return self._complete(known, candidate, judge, trace)

    def _worth_measuring_first(self, candidate: Candidate) -> bool:
        """Whether training is at stake; what is trained already costs no more than measuring it twice."""
        if not self.models.trains(candidate):
            return False
        measured = candidate.hardware_class().digest in self._hardware
        return measured or not all(training.done for training in self.models.trainings(candidate))

    def _gated(self, known: Evaluation, decision: Decision, trace: Trace) -> Evaluation:
        missed = {text: v for text, v in violations(self.limits, trace.gate).items() if v < 1e30}
        hardware = self._hardware.get(known.candidate.hardware_class().digest)
        return replace(
            known,
            outcome=Outcome.GATED,
            reason=decision.reason,
            bound=decision.bound,
            violations=missed,
            stability=hardware.stability if hardware else "",
        )

    def test_score(self, evaluation: Evaluation) -> Quantity:
        """Quality of a complete candidate's artifact on the test split."""
        compiled = self._compiled(evaluation.candidate, Trace(), trained=True)
        return self._quality(evaluation.candidate, compiled, Trace(), split="test")

    def finalists(
        self, record: StudyRecord, numbers: tuple[int, ...], *, rounds: int, seed: int
    ) -> tuple[Finalist, ...]:
        """Score each on `test`; measure all of them interleaved in random order in the same rounds."""
        return measure_finalists(record, numbers, self, rounds=rounds, seed=seed)

    def artifact(self, evaluation: Evaluation) -> Entry:
        """The compiled artifact of a complete candidate, made again if the store lost it."""
        return self._compiled(evaluation.candidate, Trace(), trained=True)

    def _complete(self, known: Evaluation, candidate: Candidate, judge: Judge, trace: Trace) -> Evaluation:
        self.checkpoint()

        def at_rung(rung: Rung) -> Decision | None:
            return judge.at_rung(candidate, rung)

        compiled = self._compiled(candidate, trace, trained=True, at_rung=at_rung)
        self.checkpoint()
        metrics = {self.models.metric.name: self._quality(candidate, compiled, trace, split="validation")}
        self.checkpoint()
        hardware, stability = self._measured(candidate, compiled, trace)
        metrics.update(hardware)
        metrics.update(self.models.size(candidate))
        artifact = compiled.meta["artifact"]
        return replace(
            known,
            outcome=Outcome.COMPLETE,
            metrics=metrics,
            violations=violations(self.limits, metrics),
            artifact_key=compiled.key,
            weight_bytes=dict(artifact["weight_bytes"]),
            notes=(*known.notes, *artifact["notes"]),
            stability=stability,
        )

    def _hardware_of(self, candidate: Candidate, trace: Trace) -> Hardware:
        plain = candidate.hardware_class()
        if plain.digest not in self._hardware:
            try:
                self._hardware[plain.digest] = self._untrained(plain, trace)
            except UnsupportedError as error:
                self._hardware[plain.digest] = Hardware(refused=error.reason)
        return self._hardware[plain.digest]

    def _untrained(self, candidate: Candidate, trace: Trace) -> Hardware:
        """What untrained weights tell: measured on the device, with the verdict on its stability."""
        compiled = self._compiled(candidate, trace, trained=False)
        self.checkpoint()
        metrics, stability = self._measured(candidate, compiled, trace, probe=True)
        metrics.update(self.models.size(candidate))
        doubt = value_dependent(candidate.backend, candidate.sparsity)
        return Hardware(metrics=metrics, stability=stability, doubt=doubt)

    def _compiled(
        self, candidate: Candidate, trace: Trace, *, trained: bool, at_rung: RungJudge | None = None
    ) -> Entry:
        source_format = get_backend(candidate.backend).source_format
        batch = self.device.deployment.batch
        source = self.models.exported(
            candidate, source_format, batch, trained=trained, note=trace.add, judge=at_rung
        )
        self.checkpoint()
        data, digest = self.models.calibration()
        return trace.add(self.device.compiled(candidate, source, data, digest, check=trained))

    def _quality(self, candidate: Candidate, compiled: Entry, trace: Trace, *, split: str) -> Quantity:
        samples, digest = self.models.split(split)
        entry = trace.add(
            self.device.scored(compiled, candidate.backend, samples, digest, self.models.metric)
        )
        return Quantity(
            value=entry.meta["value"],
            low=entry.meta["low"],
            high=entry.meta["high"],
            how=f"{entry.meta['samples']} {split} samples through the artifact in its own runtime, "
            f"batch {self.device.deployment.batch}",
        )

    def _measured(
        self, candidate: Candidate, compiled: Entry, trace: Trace, *, probe: bool = False
    ) -> tuple[dict[str, Quantity], str]:
        entry = trace.add(self.device.measured(compiled, candidate.backend, probe=probe))
        summary = summarize(read_rounds(entry), "candidate")
        found = latency_quantities(summary, self.reference_ms)
        once = "once, in a fresh process"
        found["load_ms"] = Quantity(value=entry.meta["load_ms"], how=once)
        found["first_inference_ms"] = Quantity(value=entry.meta["first_inference_ms"], how=once)
        found["memory_bytes"] = Quantity(
            value=entry.meta["memory_bytes"],
            how="peak resident memory of the process above what it held before runtime and model were loaded",
        )
        size = compiled.meta["artifact"]["size_bytes"]
        found["size_bytes"] = Quantity(value=size, low=size, high=size, how="size of the artifact's file")
        return found, summary.verdict
