"""Quantization-aware training: the weights learn to live with their rounding."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..record.treatment import QAT, Treatment
from .protocols import Bench, Found, Scored, Standing, better

SLOWER = 2.5
"""An epoch with fake quantization takes so many times as long, before anything was seen."""
GRID_METHOD = "minmax"
"""The calibration that fake quantization imitates."""


@dataclass(frozen=True, kw_only=True)
class QatRung:
    """Trains for `epochs` with fake quantization, and compiles the result.

    The weights are tried with the calibration that the candidate has by now and with the one that training
    imitated, and, where layers were put back to float before, with and without that.
    """

    epochs: int
    name: str = QAT

    def seconds(self, bench: Bench, standing: Standing) -> float | None:
        """The epochs, and an artifact compiled and scored for each way of compiling it."""
        if standing.treatment.qat or bench.seconds.epoch is None or bench.qat_plan(self.epochs) is None:
            return None
        ways = len(self._ways(bench, standing.treatment))
        training = self.epochs * bench.seconds.epoch * SLOWER
        return training + ways * (bench.seconds.compile + bench.seconds.score)

    def climb(self, bench: Bench, standing: Standing) -> Found:
        plan = bench.qat_plan(self.epochs)
        best: tuple[Treatment, Scored] | None = None
        for way in self._ways(bench, standing.treatment):
            if best is not None and standing.reached(bench.scale, best[1].quality):
                break
            treatment = replace(way, qat=plan)
            scored = bench.score(treatment)
            if best is None or better(bench.scale, scored, best[1]):
                best = treatment, scored
        assert best is not None
        assert plan is not None
        simulated = bench.simulated(plan)
        text = bench.scale.text
        detail = (
            f"{plan.title}: {text(simulated)} with fake quantization, {text(best[1].quality)} as an artifact"
        )
        return Found(
            treatment=best[0],
            scored=best[1],
            detail=detail,
            simulated=simulated,
            notes=(f"quantization-aware training: {detail}",),
        )

    def _ways(self, bench: Bench, treatment: Treatment) -> list[Treatment]:
        """How the trained weights are compiled, the cheapest to run first."""
        whole = replace(treatment, keep_float=())
        used = treatment.calibration_method or bench.candidate.calibration_method
        imitated = bench.candidate.precision.decoded.calibrated and used != GRID_METHOD
        ways = [whole, *([replace(whole, calibration_method=GRID_METHOD)] if imitated else [])]
        return [*ways, treatment] if treatment.keep_float else ways
