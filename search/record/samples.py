"""Differences of scores on the same samples, paired: most of what moves both of them cancels out."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, stdtrit

from ...profiles.quantity import Quantity
from ...profiles.quantity import SampleResults as SampleResults  # a word of records too
from .arrays import Flags, Floats, Integers

HITS, DRAWS, CASES = "hits", "draws", "cases"
MOST_HITS = 2**15
"""So many bits are 4 kB; the record of a trial holds no more."""
FEWEST_DRAWS = 100
ERROR, NORMAL = 0.05, 1.96
OUTSIDE = (0.05, 0.95)
"""Shares of cases: between them lie those in which an estimate is to hold."""


def of_hits(samples: str, right: Flags) -> SampleResults:
    """Which samples are right."""
    data = b64encode(np.packbits(right).tobytes()).decode()
    return SampleResults(samples=samples, kind=HITS, count=len(right), data=data)


def of_draws(samples: str, count: int, scores: Floats) -> SampleResults:
    """Scores over resamples of `count` samples; one that is no number is kept as it is."""
    data = b64encode(scores.astype("<f4").tobytes()).decode()
    return SampleResults(samples=samples, kind=DRAWS, count=count, data=data)


def of_cases(source: str, values: Floats) -> SampleResults:
    """What an estimate may come to, in the same cases as all others of one source."""
    data = b64encode(values.astype("<f4").tobytes()).decode()
    return SampleResults(samples=source, kind=CASES, count=len(values), data=data)


def ratio_in_cases(a: Quantity, b: Quantity) -> tuple[float, float] | None:
    """Between which values the ratio of two estimates lies in most cases; None where they share none."""
    one, two = a.by_sample, b.by_sample
    if one is None or two is None or (one.samples, one.kind, one.count) != (two.samples, CASES, two.count):
        return None
    rows = [_numbers(results).astype(np.float64) for results in (one, two)]
    if any(len(row) != one.count or not (row > 0).all() for row in rows):
        return None
    low, high = np.quantile(rows[0] / rows[1], OUTSIDE)
    return float(low), float(high)


def difference(a: Quantity, b: Quantity, factor: float = 1.0) -> Quantity | None:
    """`a` minus `factor` times `b` with its paired 95 % interval; None where they share no samples."""
    for group in paired((a, b), factor):
        how = f"paired on the same {group.count} samples"
        low, high = float(group.low[0, 1]), float(group.high[0, 1])
        return Quantity(value=a.value - factor * b.value, low=low, high=high, how=how)
    return None


@dataclass(frozen=True)
class Paired:
    """Scores on the same `count` samples: `index` says which of those asked for; `low` and `high` are the
    ends of the 95 % interval of score i minus score j."""

    index: Integers
    count: int
    low: Floats
    high: Floats


def paired(quantities: Sequence[Quantity], factor: float = 1.0) -> Iterator[Paired]:
    """The groups of at least two that share samples, each with all differences among them; `factor` is what
    the second of each pair is multiplied by."""
    groups: dict[tuple[str, str, int], dict[int, SampleResults]] = defaultdict(dict)
    for place, quantity in enumerate(quantities):
        if (results := quantity.by_sample) is not None:
            groups[results.samples, results.kind, results.count][place] = results
    for (_, kind, count), members in groups.items():
        index, rows = _usable([*members], [_numbers(results) for results in members.values()])
        if len(index) < 2:
            continue
        values = np.array([quantities[i].value for i in index])
        gaps = values[:, None] - factor * values[None, :]
        low, high = _KINDS.get(kind, _of_draws)(rows, gaps, count, factor)
        yield Paired(index, count, np.minimum(low, gaps), np.maximum(high, gaps))


@lru_cache(maxsize=1024)
def _numbers(results: SampleResults) -> NDArray[Any]:
    data = b64decode(results.data)
    if results.kind == HITS:
        return np.unpackbits(np.frombuffer(data, np.uint8), count=results.count)
    return np.frombuffer(data, "<f4")


def _usable(members: Sequence[int], rows: Sequence[NDArray[Any]]) -> tuple[Integers, Floats]:
    """Those that have numbers in most draws, over the draws in which all of these have."""
    longest = max(map(len, rows))
    kept = [i for i, row in enumerate(rows) if len(row) == longest and np.isfinite(row).mean() > 0.5]
    index = np.array([members[i] for i in kept], dtype=np.int64)
    found = np.array([rows[i] for i in kept], dtype=np.float64)
    return index, found[:, np.isfinite(found).all(axis=0)] if kept else found


def _of_hits(hits: Floats, gaps: Floats, count: int, factor: float) -> tuple[Floats, Floats]:
    """Bonett and Price 2012 (Journal of Educational and Behavioral Statistics 37): one pair that speaks for
    each side is added, so that few pairs that differ, or none, still say something. Where McNemar's exact
    test does not tell two apart, the interval holds 0."""
    both, right = hits @ hits.T, hits.sum(axis=1)
    gained = right[:, None] - both
    lost = gained.T
    whole = count + 2
    mean = (right[:, None] - factor * right[None, :] + 1 - factor) / whole
    squares = both * (1 - factor) ** 2 + gained + 1 + (lost + 1) * factor**2
    half = NORMAL * np.sqrt(np.maximum(squares / whole - mean**2, 0.0) / whole)
    low, high = np.maximum(mean - half, -max(1.0, factor)), np.minimum(mean + half, max(1.0, factor))
    if factor == 1:
        alike = 2 * bdtr(np.minimum(gained, lost), (gained + lost).astype(np.int64), 0.5) >= ERROR
        low, high = np.where(alike, np.minimum(low, 0), low), np.where(alike, np.maximum(high, 0), high)
    return low, high


def _of_draws(draws: Floats, gaps: Floats, count: int, factor: float) -> tuple[Floats, Floats]:
    """The bootstrap's standard error, and Student's quantile for so many samples."""
    if draws.shape[1] < FEWEST_DRAWS or count < 2:
        return np.full_like(gaps, -np.inf), np.full_like(gaps, np.inf)
    centred = draws - draws.mean(axis=1, keepdims=True)
    products = centred @ centred.T / (draws.shape[1] - 1)
    own = np.diag(products)
    variance = np.maximum(own[:, None] + factor**2 * own[None, :] - 2 * factor * products, 0.0)
    reach = stdtrit(count - 1, 1 - ERROR / 2) * np.sqrt(count / (count - 1))
    half = reach * np.sqrt(variance)
    return gaps - half, gaps + half


def _of_cases(cases: Floats, gaps: Floats, count: int, factor: float) -> tuple[Floats, Floats]:
    """Between which differences most cases lie."""
    low, high = np.empty_like(gaps), np.empty_like(gaps)
    for place, row in enumerate(cases):
        low[place], high[place] = np.quantile(row[None, :] - factor * cases, OUTSIDE, axis=1)
    return low, high


_KINDS = {HITS: _of_hits, CASES: _of_cases}
