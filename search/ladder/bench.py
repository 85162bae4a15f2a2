"""Which candidates climb the ladder, and from where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite

from ...backends.contract.agreement import DISAGREES
from ...profiles.errors import StageError, UnsupportedError
from ...profiles.precision import Precision
from ..record.evaluation import Evaluation, Limit
from ..record.protocols import Judge
from ..record.quality import QualityScale
from ..stages.chain import Trace, Workshop
from .candidate_bench import VALIDATION, CandidateBench
from .ladder import Climb, Ladder, LadderSettings
from .protocols import Scored, Standing

QUANTIZED_BITS = 8
"""Weights of more bits lose nothing worth winning back."""
MOST_OF_STUDY = 0.25
"""Of the study's time that is left, which one candidate's climb may take: other candidates want it too, and a
climb that the end of the study cuts short loses the candidate."""


class Climbs:
    """The ladder of one study on real candidates. `seconds_left` tells what the study's budget has left."""

    def __init__(
        self, workshop: Workshop, settings: LadderSettings, seconds_left: Callable[[], float]
    ) -> None:
        self._workshop, self._settings, self._ladder = workshop, settings, Ladder(settings)
        self._seconds_left = seconds_left
        metric = workshop.models.metric
        self._scale = QualityScale.of(metric.name, metric.higher_is_better)

    def learn(self, evaluation: Evaluation) -> None:
        """Take in what the rungs of an evaluation were worth."""
        self._ladder.learn(evaluation, self._scale)

    def float_quality(self, evaluation: Evaluation) -> float | None:
        """Quality on validation of the weights before quantization: in PyTorch, or where the model exists
        only as ONNX, that of its fp32 artifact (None where that does not run)."""
        candidate, models = evaluation.candidate, self._workshop.models
        in_torch = models.float_quality(candidate)
        if in_torch is not None:
            return in_torch
        if candidate.precision is Precision.FP32:
            return evaluation.metrics[self._scale.metric].value
        twin = replace(candidate, precision=Precision.FP32)
        try:
            compiled = self._workshop.compiled(twin, Trace())
            return self._workshop.quality(twin, compiled, Trace(), split=VALIDATION).value
        except (StageError, UnsupportedError):
            return None

    def may_mend(self, evaluation: Evaluation, error: StageError) -> bool:
        """Whether the ladder may be tried on an artifact that failed: where quantization alone broke it."""
        return error.cause.startswith(DISAGREES) and self._may_climb(evaluation)

    def climb(
        self,
        evaluation: Evaluation,
        limits: Sequence[Limit],
        judge: Judge,
        trace: Trace,
        *,
        broken: bool = False,
    ) -> Climb:
        """Win back what a complete candidate lost by quantization, if it lost too much and may still matter.

        The simple choices never climb: they are what anyone gets by plain post-training quantization.
        `broken`: the artifact as it is disagrees with the float model.
        """
        stays = Climb(treatment=evaluation.treatment)
        best, standing = evaluation.float_quality, None
        if best is not None and isfinite(best) and self._may_climb(evaluation):
            standing = self._standing(evaluation, limits, best)
        if (
            best is None
            or standing is None
            or not judge.worth_climbing(evaluation.candidate, evaluation.metrics, best)
        ):
            return stays
        bench = CandidateBench(
            self._workshop,
            evaluation.candidate,
            self._scale,
            judge,
            trace,
            evaluation.metrics,
            broken=evaluation.treatment if broken else None,
        )
        scored = bench.score(evaluation.treatment)
        seconds = min(self._settings.seconds, MOST_OF_STUDY * self._seconds_left())
        deadline = bench.now() + seconds
        return self._ladder.climb(bench, replace(standing, scored=scored, deadline=deadline))

    def _may_climb(self, evaluation: Evaluation) -> bool:
        quantized = evaluation.candidate.precision.decoded.weight_bits <= QUANTIZED_BITS
        return bool(quantized and self._settings.rungs and not evaluation.baseline)

    def _standing(self, evaluation: Evaluation, limits: Sequence[Limit], best: float) -> Standing | None:
        """Where the candidate stands; None where it has what is asked for, or could not have it."""
        quality = evaluation.metrics[self._scale.metric].value
        target = self._settings.target(self._scale, limits, best)
        standing = Standing(
            treatment=evaluation.treatment,
            scored=Scored(quality=quality, sqnr_db=float("nan")),
            best=best,
            target=target,
            deadline=0.0,
        )
        reached = standing.reached(self._scale, quality)
        return None if reached or not standing.reached(self._scale, best) else standing
