"""Which layers a quantized model loses its quality in: each group alone is put back to float, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot

from ...backends.contract.backend import LayerGroup
from ...profiles.errors import StageError, UnsupportedError
from ..record.treatment import Treatment
from .protocols import Bench, Cost, Scored, Standing

SUBSET = 256
"""Samples of validation that groups are compared on."""
LEAST_NOISE = 0.01
"""A group that takes less of the noise away is not worth measuring, let alone reverting."""
LEAST_LATENCY_SHARE = 0.01
"""What a group is taken to cost at least: shares of the latency below it cannot be measured."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What happens when one group alone stays in float.

    `noise_removed` is the share of the power of the outputs' quantization noise that goes (negative: it
    grows), `quality_gain` the change of the quality's goodness on the subset, `latency_lost_ms` what it
    costs (0 where the group was not worth measuring), `latency_noise_ms` how far the clock may be off there.
    """

    group: LayerGroup
    noise_removed: float
    quality_gain: float
    latency_lost_ms: float = 0.0
    latency_noise_ms: float = 0.0

    def expected_gain(self, lost: float) -> float:
        """What reverting the group wins back of a loss: the mean of what its share of the noise promises and
        of what was seen. Noise is smooth and says little about quality; quality on a subset is noisy."""
        return (self.noise_removed * lost + self.quality_gain) / 2

    def per_ms(self, lost: float, latency_ms: float) -> float:
        """Expected gain per millisecond lost, of an artifact with this latency. What is lost counts as what
        the clock can tell at least: groups that cost as good as nothing are ordered by their gain."""
        least = max(self.latency_noise_ms, LEAST_LATENCY_SHARE * latency_ms)
        return self.expected_gain(lost) / max(self.latency_lost_ms, least)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The groups that are worth reverting, first the one with the most gain for the latency lost."""

    ordered: tuple[Sensitivity, ...]
    base: Cost


def chosen_groups(groups: Sequence[LayerGroup], most: int) -> list[LayerGroup]:
    """The groups to look at, at most so many: the first and the last, which are known to be delicate, then
    in turn the heaviest (they make most of the noise) and the lightest (they cost least to revert)."""
    if len(groups) <= most:
        return list(groups)
    inner = sorted(groups[1:-1], key=lambda group: -group.weights)
    chosen = [groups[0], groups[-1]]
    while len(chosen) < most and inner:
        chosen.append(inner.pop(0 if len(chosen) % 2 == 0 else -1))
    return [group for group in groups if group in chosen[:most]]


def analysed(bench: Bench, standing: Standing, most: int) -> Analysis:
    """Revert each of at most `most` groups alone and see what that changes. Ends at the deadline."""
    groups, found = bench.groups(), list[Sensitivity]()
    size = min(SUBSET, bench.validation)
    before, base = bench.score(standing.treatment, size), bench.cost(standing.treatment)
    for group in chosen_groups(groups, most):
        if bench.now() >= standing.deadline:
            break
        try:
            found.append(_sensitivity(bench, standing.treatment, group, before, base))
        except (StageError, UnsupportedError):
            continue  # it cannot be reverted alone: the others may
    lost = standing.lost(bench.scale)
    useful = [one for one in found if one.expected_gain(lost) > 0]
    useful.sort(key=lambda one: -one.per_ms(lost, base.latency_ms))
    return Analysis(ordered=tuple(useful), base=base)


def _sensitivity(
    bench: Bench, treatment: Treatment, group: LayerGroup, before: Scored, base: Cost
) -> Sensitivity:
    alone = replace(treatment, keep_float=(*treatment.keep_float, *group.layers))
    after = bench.score(alone, min(SUBSET, bench.validation))
    gain = bench.scale.goodness(after.quality) - bench.scale.goodness(before.quality)
    noise = 1 - 10 ** ((before.sqnr_db - after.sqnr_db) / 10)
    noise = noise if abs(noise) < float("inf") else 0.0  # neither says anything about one that is not finite
    found = Sensitivity(group=group, noise_removed=noise, quality_gain=gain)
    if noise < LEAST_NOISE and gain <= 0:
        return found
    cost = bench.cost(alone)
    return replace(
        found,
        latency_lost_ms=cost.latency_ms - base.latency_ms,
        latency_noise_ms=hypot(cost.latency_noise_ms, base.latency_noise_ms),
    )
