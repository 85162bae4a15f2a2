"""Latency summaries as the quantities that records keep."""

from __future__ import annotations

from dataclasses import replace

from ....backends.measure.summary import LatencySummary
from ...record.evaluation import Quantity


def latency_quantities(summary: LatencySummary, reference_ms: float | None = None) -> dict[str, Quantity]:
    """The latency metrics of one subject as quantities.

    With `reference_ms`, the latency is the ratio to the reference in the same rounds times that constant, so
    that candidates measured at different hours can be compared; without, it is the median as it was.
    """
    how = f"{summary.rounds} rounds interleaved with the reference"
    latency = replace(summary.latency_ms, how=f"median over {how}")
    if reference_ms is not None and summary.ratio is not None:
        ratio = summary.ratio
        latency = Quantity(
            value=ratio.value * reference_ms,
            low=None if ratio.low is None else ratio.low * reference_ms,
            high=None if ratio.high is None else ratio.high * reference_ms,
            how=f"ratio to the reference over {how}, times the reference's {reference_ms:.4g} ms",
        )
    found = {
        "latency_ms": latency,
        "latency_min_ms": replace(summary.minimum_ms, how="least of all samples"),
    }
    if summary.p90_ms is not None:
        found["latency_p90_ms"] = replace(summary.p90_ms, how=_worth(summary.p90_samples))
    if summary.p99_ms is not None:
        found["latency_p99_ms"] = replace(summary.p99_ms, how=_worth(summary.p99_samples))
    if summary.ratio is not None:
        found["latency_ratio"] = replace(summary.ratio, how=how)
    return found


def _worth(samples: int) -> str:
    return f"single runs, worth {samples} independent ones"
