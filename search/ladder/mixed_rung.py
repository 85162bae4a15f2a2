"""Mixed precision: the layers that quantization hurts most are put back to float."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.words import listed
from ..record.treatment import MIXED, Treatment
from .protocols import Bench, Cost, Found, Scored, Standing
from .sensitivity import Analysis, Sensitivity, analysed

MOST_GROUPS = 12
"""Groups whose sensitivity is looked at."""
MOST_REVERTED = 6
"""Groups that are put back at most: what needs more is better off in another precision."""
NAMED = 4


@dataclass(frozen=True, kw_only=True)
class MixedPrecisionRung:
    """Reverts groups of layers in the order of quality gained per millisecond lost, until the target is
    reached; see `sensitivity`.

    The result is measured on the device. It is dropped where a float format of the same model is as fast and
    as small, and where another known candidate is better than it in everything by now.
    """

    name: str = MIXED

    def seconds(self, bench: Bench, standing: Standing) -> float | None:
        """Each group compiled, scored and measured once, then a few together."""
        groups = len(bench.groups())
        if groups < 2:  # with its only group in float the artifact is a float one
            return None
        one = bench.seconds.compile + bench.seconds.score
        looked_at = min(groups, MOST_GROUPS)
        return looked_at * (one + bench.seconds.measure) + min(looked_at, MOST_REVERTED) / 2 * one

    def climb(self, bench: Bench, standing: Standing) -> Found:
        analysis = analysed(bench, standing, MOST_GROUPS)
        if not analysis.ordered:
            detail = f"none of the {len(bench.groups())} groups of layers wins anything back alone"
            return Found(treatment=standing.treatment, scored=standing.scored, detail=detail)
        treatment, scored, taken = self._reverted(bench, standing, analysis)
        if not taken:
            detail = "no groups of layers together win anything back"
            return Found(treatment=treatment, scored=scored, detail=detail)
        cost = bench.cost(treatment)
        detail = _words(taken, len(bench.groups()), analysis.base, cost)
        why_not = _pointless(bench, cost, scored)
        note = f"mixed precision: {detail}"
        return Found(
            treatment=treatment,
            scored=scored,
            detail=f"{detail}; {why_not}" if why_not else detail,
            kept=not why_not,
            notes=(f"{note}; not kept, {why_not}",) if why_not else (note,),
        )

    def _reverted(
        self, bench: Bench, standing: Standing, analysis: Analysis
    ) -> tuple[Treatment, Scored, tuple[Sensitivity, ...]]:
        """Revert one group after the other; the best that was seen, with the groups that it reverts."""
        best: tuple[Treatment, Scored, tuple[Sensitivity, ...]] = (standing.treatment, standing.scored, ())
        taken: tuple[Sensitivity, ...] = ()
        fewest_quantized = len(bench.groups()) - 1
        for one in analysis.ordered[: min(MOST_REVERTED, fewest_quantized)]:
            if bench.now() >= standing.deadline or standing.reached(bench.scale, best[1].quality):
                break
            taken = (*taken, one)
            layers = tuple(layer for each in taken for layer in each.group.layers)
            treatment = replace(standing.treatment, keep_float=(*standing.treatment.keep_float, *layers))
            try:
                scored = bench.score(treatment)
            except (StageError, UnsupportedError):
                continue  # still broken: with one group more it may not be
            if bench.scale.goodness(scored.quality) > bench.scale.goodness(best[1].quality):
                best = (treatment, scored, taken)
        return best


def _pointless(bench: Bench, cost: Cost, scored: Scored) -> str:
    """Why the mixed artifact is of no use, in words; empty where it is."""
    for name, whole in bench.float_costs().items():
        if whole.latency_ms <= cost.latency_ms and whole.size_bytes <= cost.size_bytes:
            return f"all of it in {name} is as fast and as small"
    if not bench.worth(cost, scored.quality):
        return "another known candidate is better in everything, now that it is slower and larger"
    return ""


def _words(taken: tuple[Sensitivity, ...], groups: int, before: Cost, after: Cost) -> str:
    names = listed((one.group.name for one in taken), NAMED)
    return (
        f"{len(taken)} of {groups} groups of layers in float ({names}), "
        f"latency {before.latency_ms:.3g} to {after.latency_ms:.3g} ms, "
        f"size {before.size_bytes / 1e3:.3g} to {after.size_bytes / 1e3:.3g} kB"
    )
