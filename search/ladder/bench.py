"""A real candidate on the ladder: whether it climbs, from where, and what its rungs may try on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import inf, isfinite, nan

from ...backends.contract.agreement import sqnr_db
from ...backends.contract.backend import LayerGroup, SourceModel
from ...backends.registry import get_backend
from ...profiles.errors import StageError, UnsupportedError
from ...profiles.precision import Precision
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Limit, Quantity
from ..record.protocols import Judge
from ..record.quality import QualityScale
from ..record.treatment import QatPlan, Treatment
from ..stages.chain import Chain, Trace, outputs_of, sizes
from ..store.store import Entry
from ..workload.workload import Array
from .ladder import Climb, Ladder, LadderSettings
from .protocols import Cost, Scored, StageSeconds, Standing

VALIDATION = "validation"
FLOAT_FORMATS = (Precision.FP32, Precision.FP16)
QUANTIZED_BITS = 8
"""Weights of more bits lose nothing worth winning back."""
POOR = 20.0
"""Where no limit says what is of no use, a simple choice is that has lost so many times what may be lost."""
MOST_OF_STUDY = 0.25
"""Of the study's time that is left, which one candidate's climb may take: other candidates want it too, and a
climb that the end of the study cuts short loses the candidate."""


class Climbs:
    """The ladder of one study on real candidates. `seconds_left` tells what the study's budget has left,
    `known` are evaluations of earlier sessions: they tell what rungs are worth."""

    def __init__(
        self,
        chain: Chain,
        settings: LadderSettings | None = None,
        seconds_left: Callable[[], float] = lambda: inf,
        known: Iterable[Evaluation] = (),
    ) -> None:
        self._chain, self._settings = chain, settings or LadderSettings()
        self._ladder, self.seconds_left = Ladder(self._settings), seconds_left
        metric = chain.models.metric
        self._scale = QualityScale.of(metric.name, metric.higher_is_better)
        for evaluation in known:
            self.learn(evaluation)

    def learn(self, evaluation: Evaluation) -> None:
        """Take in what the rungs of an evaluation were worth."""
        self._ladder.learn(evaluation, self._scale)

    def float_quality(self, evaluation: Evaluation) -> float | None:
        """Quality on validation of the weights before quantization: in PyTorch, or where the model exists
        only as ONNX, that of its fp32 artifact (None where that does not run)."""
        candidate, models = evaluation.candidate, self._chain.models
        in_torch = models.float_quality(candidate)
        if in_torch is not None:
            return in_torch
        if candidate.precision in (Precision.FP32, Precision.GIVEN):
            return evaluation.metrics[self._scale.metric].value
        twin = replace(candidate, precision=Precision.FP32)
        try:
            compiled = self._chain.compiled(twin, Trace())
            return self._chain.quality(twin, compiled, Trace(), split=VALIDATION).value
        except (StageError, UnsupportedError):
            return None

    def may_mend(self, evaluation: Evaluation, error: StageError) -> bool:
        """Whether the ladder may be tried on an artifact that failed: where quantization alone broke it."""
        return error.disagrees and self._may_climb(evaluation)

    def climb(
        self,
        evaluation: Evaluation,
        judge: Judge,
        trace: Trace,
        *,
        broken: bool = False,
    ) -> Climb:
        """Win back what a complete candidate lost by quantization, if it lost too much and may still matter.

        The simple choices are what anyone gets by plain post-training quantization, and stay that: they climb
        only where they are of no use as they are, and then what calibration and a float layer here or
        there would mend is tried whatever it promises. `broken`: the artifact as it is disagrees with the
        float model.
        """
        stays = Climb(treatment=evaluation.treatment)
        best, standing = evaluation.float_quality, None
        if best is not None and isfinite(best) and self._may_climb(evaluation):
            standing = self._standing(evaluation, judge.standard.limits, best, broken)
        if best is None or standing is None:
            return stays
        if not standing.insists and not judge.worth_climbing(evaluation.candidate, evaluation.metrics, best):
            return stays
        bench = CandidateBench(
            self._chain,
            evaluation.candidate,
            self._scale,
            judge,
            trace,
            evaluation.metrics,
            broken=evaluation.treatment if broken else None,
        )
        scored = bench.score(evaluation.treatment)
        seconds = min(self._settings.seconds, MOST_OF_STUDY * self.seconds_left())
        deadline = bench.now() + seconds
        return self._ladder.climb(bench, replace(standing, scored=scored, deadline=deadline))

    def _may_climb(self, evaluation: Evaluation) -> bool:
        quantized = evaluation.candidate.precision.decoded.weight_bits <= QUANTIZED_BITS
        return bool(quantized and self._settings.rungs)

    def _standing(
        self, evaluation: Evaluation, limits: Sequence[Limit], best: float, broken: bool
    ) -> Standing | None:
        """Where the candidate stands; None where it has what is asked for, or could not have it."""
        quality = evaluation.metrics[self._scale.metric].value
        target = self._settings.target(self._scale, limits, best)
        standing = Standing(
            treatment=evaluation.treatment,
            scored=Scored(quality=quality, sqnr_db=float("nan")),
            best=best,
            target=target,
            deadline=0.0,
            insists=evaluation.baseline and evaluation.candidate.precision.decoded.calibrated,
        )
        allowed = self._scale.goodness(best) - self._scale.goodness(target)
        of_use = not (broken or self._scale.asked_by(limits) or standing.lost(self._scale) > POOR * allowed)
        if evaluation.baseline and of_use:
            return None
        reached = standing.reached(self._scale, quality)
        return None if reached or not standing.reached(self._scale, best) else standing


class CandidateBench:
    """A `protocols.Bench`. What is tried for the candidate goes into `trace`; its model in float formats is
    not the candidate, so what that takes does not.

    The candidate's artifact was compiled, scored and measured: `trace` tells how long the stages take, and
    `metrics` what was found. Artifacts are compared with the float model, but for that of the treatment
    `broken`, which is known to disagree with it.
    """

    def __init__(
        self,
        chain: Chain,
        candidate: Candidate,
        scale: QualityScale,
        judge: Judge,
        trace: Trace,
        metrics: dict[str, Quantity],
        broken: Treatment | None = None,
    ) -> None:
        self.chain, self.candidate, self.scale = chain, candidate, scale
        self._judge, self._trace, self._metrics = judge, trace, metrics
        self._broken, self._steps = broken, set[Treatment]()
        self._backend = get_backend(candidate.backend)
        self.methods = self._backend.calibration_methods
        models = chain.models
        self.total = len(models.split("calibration")[0])
        self.validation = len(models.split(VALIDATION)[0])
        self.seconds = self._stage_seconds()
        self._groups: tuple[LayerGroup, ...] | None = None
        self._wanted: Array | None = None
        self._asked = False

    def now(self) -> float:
        return time.monotonic()

    def score(self, treatment: Treatment, first: int = 0) -> Scored:
        self.chain.checkpoint()
        if self._broken is not None and first:  # a step on the way: one float layer seldom mends it all
            self._steps.add(treatment)
        else:
            self._steps.discard(treatment)
        compiled = self._compiled(treatment)
        self.chain.checkpoint()
        entry = self.chain.scored(self.candidate, compiled, self._trace, split=VALIDATION, first=first)
        outputs = outputs_of(entry)
        return Scored(quality=entry.meta["value"], sqnr_db=self._sqnr(outputs))

    def cost(self, treatment: Treatment) -> Cost:
        self.chain.checkpoint()
        return self._cost(self.candidate, self._compiled(treatment), self._trace)

    def float_costs(self) -> dict[str, Cost]:
        found = {}
        for precision in FLOAT_FORMATS:
            twin = self._in(precision)
            try:
                compiled = self.chain.compiled(twin, Trace())
                found[str(precision)] = self._cost(twin, compiled, Trace())
            except (StageError, UnsupportedError):
                continue  # the backend has no such format for this model
        return found

    def worth(self, cost: Cost, quality: float) -> bool:
        """What a short measurement does not tell is taken to be as it was."""
        scaled = cost.latency_ms / self._metrics["latency_ms"].value
        metrics = {
            name: _times(quantity, scaled) if name.startswith("latency") else quantity
            for name, quantity in self._metrics.items()
        }
        metrics["size_bytes"] = Quantity(value=cost.size_bytes)
        return self._judge.worth_climbing(self.candidate, metrics, quality)

    def groups(self) -> tuple[LayerGroup, ...]:
        if self._groups is None:
            source = self.chain.source(self.candidate, Trace())
            model = SourceModel(path=source.file(source.meta["file"]), format=source.meta["format"])
            self._groups = tuple(self._backend.layers(model, self.candidate.precision))
        return self._groups

    def qat_plan(self, epochs: int) -> QatPlan | None:
        return self.chain.models.qat_plan(self.candidate, epochs)

    def simulated(self, plan: QatPlan) -> float:
        return self.chain.models.simulated(self.candidate, plan)

    def _stage_seconds(self) -> StageSeconds:
        made = self._trace.made
        return StageSeconds(
            compile=made["compile"],
            score=made["score"],
            measure=made["measure"],
            epoch=self.chain.models.epoch_seconds(self.candidate),
        )

    def _compiled(self, treatment: Treatment) -> Entry:
        checked = treatment != self._broken and treatment not in self._steps
        return self.chain.compiled(self.candidate, self._trace, treatment=treatment, checked=checked)

    def _cost(self, candidate: Candidate, compiled: Entry, trace: Trace) -> Cost:
        latency = self.chain.measured(candidate, compiled, trace, probe=True).metrics["latency_ms"]
        low, high = latency.ends
        size = sizes(compiled.meta)["size_bytes"].value
        return Cost(latency_ms=latency.value, size_bytes=size, latency_noise_ms=(high - low) / 2)

    def _sqnr(self, outputs: Array) -> float:
        wanted = self._float_outputs()
        return sqnr_db(wanted[: len(outputs)], outputs) if wanted is not None else nan

    def _float_outputs(self) -> Array | None:
        """Outputs of the same weights in fp32 for all of validation; None where that cannot be run."""
        if not self._asked:
            self._asked, twin = True, self._in(Precision.FP32)
            try:
                compiled = self.chain.compiled(twin, Trace())
                scored = self.chain.scored(twin, compiled, Trace(), split=VALIDATION)
                self._wanted = outputs_of(scored)
            except (StageError, UnsupportedError):
                self._wanted = None
        return self._wanted

    def _in(self, precision: Precision) -> Candidate:
        return replace(self.candidate, precision=precision)


def _times(quantity: Quantity, factor: float) -> Quantity:
    low, high = quantity.low, quantity.high
    return replace(
        quantity,
        value=quantity.value * factor,
        low=None if low is None else low * factor,
        high=None if high is None else high * factor,
    )
