"""Latency summaries as the quantities that records keep."""

from __future__ import annotations

from ....backends.measure.latency import Estimate, LatencySummary
from ...record.evaluation import Quantity


def latency_quantities(summary: LatencySummary, reference_ms: float | None = None) -> dict[str, Quantity]:
    """The latency metrics of one subject as quantities.

    With `reference_ms`, the latency is the ratio to the reference in the same rounds times that constant, so
    that candidates measured at different hours can be compared; without, it is the median as it was.
    """
    how = f"{summary.rounds} rounds interleaved with the reference"
    latency = _quantity(summary.latency_ms, f"median over {how}")
    if reference_ms is not None and summary.ratio is not None:
        scaled = _quantity(summary.ratio, "")
        latency = Quantity(
            value=scaled.value * reference_ms,
            low=None if scaled.low is None else scaled.low * reference_ms,
            high=None if scaled.high is None else scaled.high * reference_ms,
            how=f"ratio to the reference over {how}, times the reference's {reference_ms:.4g} ms",
        )
    found = {
        "latency_ms": latency,
        "latency_min_ms": _quantity(summary.minimum_ms, "least of all samples"),
    }
    if summary.p90_ms is not None:
        found["latency_p90_ms"] = _quantity(summary.p90_ms, _worth(summary.p90_samples))
    if summary.p99_ms is not None:
        found["latency_p99_ms"] = _quantity(summary.p99_ms, _worth(summary.p99_samples))
    if summary.ratio is not None:
        found["latency_ratio"] = _quantity(summary.ratio, how)
    return found


def _worth(samples: int) -> str:
    return f"single runs, worth {samples} independent ones"


def _quantity(estimate: Estimate, how: str) -> Quantity:
    return Quantity(value=estimate.value, low=estimate.low, high=estimate.high, how=how)
