"""What was counted in one window of time: plain sums, so that two of them add up to one.

This file travels in every bundle: numpy and the standard library, Python 3.9.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from math import isfinite, log
from typing import Any

import numpy as np

GROWTH = 1.01
"""A bucket of times ends where it began times this: what is read from one is right within half a per cent."""
LEAST_S = 1e-7
MOST_BUCKETS = 2500  # up to an hour and more
MOST_CLASSES = 256
LAGS = 5  # pairs of logarithms of times: how many, sums of the later and the earlier, squares, products
QUALITY = 5  # labels; sum and sum of squares of the first score; and of the second


def buckets_of(seconds: Any) -> Any:
    """The buckets that times fall into."""
    known = np.where(np.isfinite(seconds), seconds, 0.0)
    found = np.log(np.maximum(known, LEAST_S) / LEAST_S) / log(GROWTH)
    return np.minimum(np.ceil(found).astype(np.int64), MOST_BUCKETS)


def seconds_of(bucket: int) -> float:
    """The middle of a bucket."""
    return float(LEAST_S * GROWTH ** (bucket - 0.5))


class Tally:
    """`counts` and `sums` are those of all series (`series.Bins`), `numbers` the counts of events, `latency`
    those of calls with the bundle's own batch by bucket, `elsewise` those of others; `quality` and `classes`
    come of labels. `began` and `ended` are the clock's."""

    def __init__(self, size: int, series: int) -> None:
        self.began = self.ended = time.time()
        self.counts = np.zeros(size, dtype=np.int64)
        self.sums = np.zeros((series, 3), dtype=np.float64)
        self.numbers: Counter[str] = Counter()
        self.latency: Counter[int] = Counter()
        self.elsewise: Counter[int] = Counter()
        self.lags = np.zeros(LAGS, dtype=np.float64)
        self.quality = np.zeros(QUALITY, dtype=np.float64)
        self.classes: dict[int, Any] = {}

    def timed(self, seconds: Any, as_shipped: Any, before: float | None) -> float | None:
        """Calls took so long, some of them with the bundle's own batch; the last of those before took the
        logarithm `before`. Gives the last logarithm of these."""
        for counted, which in ((self.latency, as_shipped), (self.elsewise, ~as_shipped)):
            buckets, counts = np.unique(buckets_of(seconds[which]), return_counts=True)
            counted.update(dict(zip(buckets.tolist(), counts.tolist())))  # noqa: B905
        known = np.log(np.clip(np.nan_to_num(seconds[as_shipped]), LEAST_S, 1e6))
        line = known if before is None else np.concatenate([[before], known])
        now, earlier = line[1:], line[:-1]
        self.lags += (len(now), now.sum(), earlier.sum(), np.square(now).sum(), (now * earlier).sum())
        return float(line[-1]) if len(line) else None

    def judged(self, number: object, first: float, second: float) -> None:
        """One label came: its class (None: it has none) and the scores of its answer."""
        self.quality += (1.0, first, first * first, second, second * second)
        if isinstance(number, int) and (number in self.classes or len(self.classes) < MOST_CLASSES):
            self.classes.setdefault(number, np.zeros(2))
            self.classes[number] += (1.0, first)

    def add(self, other: Tally) -> None:
        """Take in what another one has, of the same series."""
        self.began, self.ended = min(self.began, other.began), max(self.ended, other.ended)
        for name in ("counts", "sums", "lags", "quality"):
            getattr(self, name).__iadd__(getattr(other, name))
        for name in ("numbers", "latency", "elsewise"):
            getattr(self, name).update(getattr(other, name))
        for number, sums in other.classes.items():
            self.classes[number] = self.classes.get(number, 0.0) + sums

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "began": round(self.began, 3),
            "ended": round(self.ended, 3),
            "counts": self.counts.tolist(),
            "sums": _short(self.sums.reshape(-1)),
            "lags": _short(self.lags),
            "quality": _short(self.quality),
            "classes": {str(number): _short(sums) for number, sums in self.classes.items()},
            "numbers": dict(self.numbers),
            "latency": {str(bucket): count for bucket, count in sorted(self.latency.items())},
            "elsewise": {str(bucket): count for bucket, count in sorted(self.elsewise.items())},
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any], size: int, series: int) -> Tally:
        """One that was written. ValueError where it is none of these series."""
        made = cls(size, series)
        try:
            made.began, made.ended = _finite(plain["began"]), _finite(plain["ended"])
            made.counts += _array(plain["counts"], size).astype(np.int64)
            made.sums += _array(plain["sums"], 3 * series).reshape(series, 3)
            made.lags += _array(plain["lags"], LAGS)
            made.quality += _array(plain["quality"], QUALITY)
            made.classes = {int(number): _array(sums, 2) for number, sums in plain["classes"].items()}
            made.numbers.update({str(name): int(count) for name, count in plain["numbers"].items()})
            for name in ("latency", "elsewise"):
                getattr(made, name).update({int(bucket): int(count) for bucket, count in plain[name].items()})
        except (LookupError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"no window of a log ({error!r})") from error
        return made


def _finite(value: Any) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError("no number")
    return number


def _array(values: Any, size: int) -> Any:
    found = np.array(values, dtype=np.float64)
    if found.shape != (size,) or not np.isfinite(found).all():
        raise ValueError(f"{size} numbers belong here")
    return found


def _short(values: Any) -> list[float]:
    return [float(f"{value:.9g}") for value in values.tolist()]
