"""How one candidate is evaluated: gate with untrained weights, train, compile, score, measure."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..backends.latency import Estimate, LatencySummary, summarize
from ..backends.registry import get_backend
from ..profiles.errors import InternalError, StageError, UnsupportedError, UserError
from .budget import Interrupted
from .candidate import Candidate
from .evaluation import Evaluation, Limit, Outcome, Quantity, StageRecord
from .gate import Gate, violations
from .models import Models
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
            self.stages.append(
                StageRecord(name=entry.stage, key=entry.key, cached=entry.cached, seconds=seconds)
            )
        return entry


class Evaluator:
    """Evaluates candidates one at a time. `checkpoint` is called between stages and may raise Interrupted."""

    def __init__(self, models: Models, device: DeviceStages, checkpoint: Callable[[], None]) -> None:
        self.models, self.device, self.checkpoint = models, device, checkpoint
        self.limits: tuple[Limit, ...] = ()
        self.reference_ms: float | None = None

    def prepare_reference(self, candidate: Candidate) -> None:
        """Compile the reference model, which every measurement is interleaved with."""
        compiled = self._compiled(candidate, Trace(), trained=True)
        self.device.set_reference(compiled, candidate)

    def evaluate(self, candidate: Candidate, *, baseline: bool = False) -> Evaluation:
        """All that can be known of one candidate. Crashes of its stages end as `failed`, never raise.

        Raises:
            Interrupted: a stop was asked for; stages that ended are kept in the store.
            UserError: something that concerns the whole study (a full disk, the user's own code).
        """
        trace = Trace()
        known = Evaluation(candidate=candidate, outcome=Outcome.FAILED, baseline=baseline)
        return replace(self._ended(known, trace), stages=tuple(trace.stages), gate=trace.gate)

    def _ended(self, known: Evaluation, trace: Trace) -> Evaluation:
        try:
            return self._gated_or_complete(known, trace)
        except (InternalError, UserError, Interrupted):
            raise
        except UnsupportedError as error:
            return replace(known, outcome=Outcome.REFUSED, reason=error.reason)
        except StageError as error:
            return replace(known, stage=error.stage, cause=error.cause, log=error.log[-LOG_CHARACTERS:])
        except Exception as error:
            # Whatever a library or the user's code raises concerns this candidate alone.
            cause = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            log = traceback.format_exc()[-LOG_CHARACTERS:]
            return replace(known, stage=trace.at_hand, cause=cause, log=log)

    def _gated_or_complete(self, known: Evaluation, trace: Trace) -> Evaluation:
        candidate = known.candidate
        if self.models.trains(candidate):
            trace.gate, stability = self._hardware(candidate, trace)
            reason = Gate(limits=self.limits).reason(trace.gate)
            if reason:
                missed = {text: v for text, v in violations(self.limits, trace.gate).items() if v < 1e30}
                gated = replace(known, outcome=Outcome.GATED, reason=reason, violations=missed)
                return replace(gated, stability=stability)
        return self._complete(known, candidate, trace)

    def test_score(self, evaluation: Evaluation) -> Quantity:
        """Quality of a complete candidate's artifact on the test split."""
        compiled = self._compiled(evaluation.candidate, Trace(), trained=True)
        return self._quality(evaluation.candidate, compiled, Trace(), split="test")

    def artifact(self, evaluation: Evaluation) -> Entry:
        """The compiled artifact of a complete candidate, made again if the store lost it."""
        return self._compiled(evaluation.candidate, Trace(), trained=True)

    def _complete(self, known: Evaluation, candidate: Candidate, trace: Trace) -> Evaluation:
        self.checkpoint()
        compiled = self._compiled(candidate, trace, trained=True)
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
            notes=tuple(artifact["notes"]),
            stability=stability,
        )

    def _hardware(self, candidate: Candidate, trace: Trace) -> tuple[dict[str, Quantity], str]:
        """What untrained weights tell: measured on the device, with the verdict on its stability."""
        compiled = self._compiled(candidate, trace, trained=False)
        self.checkpoint()
        hardware, stability = self._measured(candidate, compiled, trace)
        return {**hardware, **self.models.size(candidate)}, stability

    def _compiled(self, candidate: Candidate, trace: Trace, *, trained: bool) -> Entry:
        source_format = get_backend(candidate.backend).source_format
        source = self.models.exported(
            candidate, source_format, self.device.deployment.batch, trained=trained, note=trace.add
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
        self, candidate: Candidate, compiled: Entry, trace: Trace
    ) -> tuple[dict[str, Quantity], str]:
        entry = trace.add(self.device.measured(compiled, candidate.backend))
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


def latency_quantities(summary: LatencySummary, reference_ms: float | None = None) -> dict[str, Quantity]:
    """The latency metrics of one subject as quantities.

    With `reference_ms`, the latency is the ratio to the reference in the same rounds times that constant, so
    that candidates measured at different hours can be compared; without, it is the median as it was.
    """
    how = f"{summary.rounds} rounds interleaved with the reference"
    latency = _quantity(summary.latency_ms, f"median over {how}")
    if reference_ms is not None and summary.ratio is not None:
        scaled = _quantity(summary.ratio, "")
        latency = Quantity(
            value=scaled.value * reference_ms,
            low=None if scaled.low is None else scaled.low * reference_ms,
            high=None if scaled.high is None else scaled.high * reference_ms,
            how=f"ratio to the reference over {how}, times the reference's {reference_ms:.4g} ms",
        )
    found = {
        "latency_ms": latency,
        "latency_min_ms": _quantity(summary.minimum_ms, "least of all samples"),
    }
    if summary.p90_ms is not None:
        found["latency_p90_ms"] = _quantity(summary.p90_ms, _worth(summary.p90_samples))
    if summary.p99_ms is not None:
        found["latency_p99_ms"] = _quantity(summary.p99_ms, _worth(summary.p99_samples))
    if summary.ratio is not None:
        found["latency_ratio"] = _quantity(summary.ratio, how)
    return found


def _worth(samples: int) -> str:
    return f"single runs, worth {samples} independent ones"


def _quantity(estimate: Estimate, how: str) -> Quantity:
    return Quantity(value=estimate.value, low=estimate.low, high=estimate.high, how=how)
