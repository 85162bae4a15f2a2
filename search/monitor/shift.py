"""Whether a number is distributed as it was, and by how much it is not: two samples in the same bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, xlogy
from scipy.stats import betabinom

from ..record.arrays import Floats

FEWEST = 8.0
"""Samples that each bin should have of either side, else it is joined with the next."""
MOST_ALIKE = 0.98
_MOST_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Shift:
    """`index` is the population stability index less what chance alone brings (0.1: some, 0.25: much), `p`
    the p-value of "no shift", `moved` the shift of the mean in standard deviations that were; `beyond` the
    share far out of what was seen, or without a finite number, `p_beyond` the p-value of "as chance has it";
    `count` how many independent samples these are worth."""

    index: float
    p: float
    moved: float
    beyond: float
    p_beyond: float
    count: float


def shift_of(before: Floats, now: Floats, sums: Floats) -> Shift:
    """From the counts of both, the last of them those that are no finite number, and the sums of deviations
    (`series.Bins`)."""
    total = float(now.sum())
    finite = max(float(now[:-1].sum()), 1.0)
    worth = _independent(finite, sums) / finite
    then, found = _joined(before[:-1].astype(float), now[:-1].astype(float) * worth)
    odd = float(now[0] + now[-2] + now[-1])
    return Shift(
        index=_index(then, found),
        p=_p_of(then, found),
        moved=float(sums[0]) / finite,
        beyond=odd / total if total else 0.0,
        p_beyond=_p_beyond(odd * worth, total * worth, float(before[-1]), float(before[:-1].sum())),
        count=finite * worth,
    )


def _p_beyond(odd: float, total: float, known: float, seen: float) -> float:
    """Of `seen` samples none lay beyond, by how that was cut, and `known` were no numbers: the next one lies
    beyond the largest or the smallest of them with a chance that has a beta distribution (Wilks 1941)."""
    if odd <= 0:
        return 1.0
    part = min(1.0, _MOST_DRAWS / total)
    draws, hits = max(int(total * part), 1), int(odd * part)
    return float(betabinom.sf(hits - 1, draws, 2 + known, max(seen - 1, 1.0)))


def _independent(count: float, sums: Floats) -> float:
    """How many independent samples so many are worth, each of which resembles the one before."""
    mean = sums[0] / count
    variance = sums[1] / count - mean**2
    if variance <= 1e-12:
        return count
    alike = float(np.clip((sums[2] / count - mean**2) / variance, 0.0, MOST_ALIKE))
    alike = alike if alike > 2 / np.sqrt(count) else 0.0
    return float(count * (1 - alike) / (1 + alike))


def _joined(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Bins next to each other, joined until each would have enough of both, had nothing changed."""
    sizes = before.sum(), now.sum()
    share = min(sizes) / max(sum(sizes), 1e-300)
    found: list[list[float]] = []
    open_bin = [0.0, 0.0]
    for one, other in zip(before, now, strict=True):
        open_bin = [open_bin[0] + one, open_bin[1] + other]
        if sum(open_bin) * share >= FEWEST:
            found.append(open_bin)
            open_bin = [0.0, 0.0]
    if found:
        found[-1] = [found[-1][0] + open_bin[0], found[-1][1] + open_bin[1]]
    else:
        found = [open_bin]
    both = np.array(found)
    return both[:, 0], both[:, 1]


def _p_of(before: Floats, now: Floats) -> float:
    """The likelihood ratio test of two samples with the correction of Williams (1976,
    doi:10.1093/biomet/63.1.33). Bins are cut at quantiles of one of them, and the other may be much larger:
    Pearson's statistic then alarms up to seven times as often as it says, this one as often as it says."""
    if len(before) < 2:
        return 1.0
    both, sizes = before + now, (before.sum(), now.sum())
    whole = sum(sizes)
    pairs = zip((before, now), sizes, strict=True)
    ratio = sum(float(xlogy(one, one * whole / (both * size)).sum()) for one, size in pairs)
    spread = (whole / sizes[0] + whole / sizes[1] - 1) * (float((whole / both).sum()) - 1)
    return float(chdtrc(len(before) - 1, 2 * ratio / (1 + spread / (6 * whole * (len(before) - 1)))))


def _index(before: Floats, now: Floats) -> float:
    """The population stability index, less its expectation where nothing has changed (Yurdakul 2018: that of
    a chi-square by the sizes of both samples)."""
    sizes, bins = (before.sum(), now.sum()), len(before)
    if bins < 2 or not all(sizes):
        return 0.0
    shares = [(one + 0.5) / (size + 0.5 * bins) for one, size in zip((before, now), sizes, strict=True)]
    raw = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    return max(raw - (bins - 1) * float(1 / sizes[0] + 1 / sizes[1]), 0.0)
