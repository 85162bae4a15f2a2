"""Axes of the plots: which part of the values is drawn, and where the ticks stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from ...search.record.metrics import metric_info

SPANS = 3.0
"""So many times the span of what matters is drawn beside it."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The part of an axis that is drawn; what lies beyond it stands at its edge."""

    low: float
    high: float
    log: bool

    def place(self, value: float) -> float:
        """Where a value is drawn."""
        return min(max(value, self.low), self.high)

    def beyond(self, value: float) -> bool:
        """Whether a value lies outside."""
        return self.place(value) != value


def window(values: Sequence[float], wanted: Sequence[float], *, log: bool) -> Window:
    """What is to be drawn of all values, so that one far off does not squeeze the wanted ones together. The
    wanted are among the values."""
    scale = log10 if log else float
    first, last = min(map(scale, wanted)), max(map(scale, wanted))
    reach = SPANS * (last - first)
    inside = [v for v in values if reach <= 0 or first - reach <= scale(v) <= last + reach]
    return Window(low=min(inside), high=max(inside), log=log)


def is_log(values: Sequence[float]) -> bool:
    """A logarithmic axis where values span more than a factor of ten."""
    return bool(values) and min(values) > 0 and max(values) > 10 * min(values)


def latency_ticks(values: Sequence[float], log: bool) -> dict[str, Any]:
    """Ticks with SI units ("200 µs", "1 ms"); at 1, 2 and 5 times powers of ten on a logarithmic axis."""
    low, high = min(values), max(values)
    if log:
        powers = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
        places = [m * 10.0**p for p in powers for m in (1, 2, 5)]
        return {"type": "log", "tickvals": places, "ticktext": [_short_ms(v) for v in places]}
    scale, unit = (1e-3, "µs") if high < 1 else (1e3, "s") if high >= 1e4 else (1.0, "ms")
    step = _round_step(high / scale / 5) * scale
    places = [step * i for i in range(ceil(high * 1.3 / step) + 1)]
    return {"tickvals": places, "ticktext": [f"{v / scale:.4g} {unit}" for v in places]}


def _short_ms(value: float) -> str:
    return metric_info("latency_ms").format(value)


def _round_step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= rough))
