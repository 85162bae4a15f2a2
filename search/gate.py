"""The gate: a candidate that misses a limit on the device is not worth a minute of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .evaluation import Limit, Quantity
from .metrics import metric_info

HARDWARE_METRICS = frozenset(
    {
        "latency_ms",
        "latency_p90_ms",
        "latency_p99_ms",
        "latency_min_ms",
        "memory_bytes",
        "size_bytes",
        "load_ms",
        "first_inference_ms",
        "parameters",
        "macs",
    }
)
"""Metrics that depend on the configuration and not on what the weights are."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Decides from what was measured with untrained weights. `limits` are the study's, resolved."""

    limits: tuple[Limit, ...]

    def reason(self, measured: Mapping[str, Quantity]) -> str:
        """Why the candidate must not be trained, or an empty text.

        A limit counts as missed only where the whole interval lies beyond it: a candidate that noise alone
        puts over a limit is trained and judged by its own measurement.
        """
        missed = []
        for limit in self.limits:
            quantity = measured.get(limit.metric)
            if limit.metric not in HARDWARE_METRICS or quantity is None:
                continue
            best = quantity.low if limit.upper else quantity.high
            if limit.violation(quantity.value if best is None else best) > 0:
                info = metric_info(limit.metric)
                bound = f" ({info.format(limit.bound)})" if "teacher" in limit.text else ""
                value = info.format(quantity.value)
                missed.append(f"{info.title} is {value}, the limit is {limit.text!r}{bound}")
        return "; ".join(missed)


def violations(limits: Sequence[Limit], metrics: Mapping[str, Quantity]) -> dict[str, float]:
    """How far each limit is missed, by its text; a limit on a metric that is not known counts as missed."""
    found = {}
    for limit in limits:
        quantity = metrics.get(limit.metric)
        found[limit.text] = float("inf") if quantity is None else limit.violation(quantity.value)
    return {text: min(value, 1e30) for text, value in found.items()}
