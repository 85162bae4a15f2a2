"""Every metric that a candidate can have: unit, direction and formatting, declared once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """`name` carries the unit as the record stores it; `title` is what pages show. `points`: it is a
    difference of two shares, shown in points."""

    name: str
    title: str
    unit: str
    higher_is_better: bool = False
    points: bool = False

    def format(self, value: float) -> str:
        """The value with its unit, rounded to what can be trusted."""
        if self.unit == "bytes":
            return _scaled(value, (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)))
        if self.unit == "ms":
            return _scaled(value, (("s", 1e3), ("ms", 1.0), ("µs", 1e-3)))
        if self.unit == "mJ":
            return _scaled(value, (("J", 1e3), ("mJ", 1.0), ("µJ", 1e-3)))
        if self.unit == "/s":
            return f"{value:.3g} /s" if value < 1e3 else f"{value:,.0f} /s"
        if self.points:
            return f"{round(100 * value, 2) + 0.0:g} pt"  # adding 0.0 makes a zero of -0.0
        if self.unit == "share":
            return f"{100 * value:.2f} %"
        if self.unit == "count":
            return _scaled(value, (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))).rstrip()
        return f"{value:.4g}" + (f" {self.unit}" if self.unit else "")

    def difference(self, amount: float) -> str:
        """A difference of two values with its unit; shares differ by points, not by percent."""
        return f"{100 * amount:.3g} pt" if self.unit == "share" else self.format(amount)


def _scaled(value: float, units: tuple[tuple[str, float], ...]) -> str:
    for unit, factor in units:
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / units[-1][1]:.3g} {units[-1][0]}"


METRICS = {
    info.name: info
    for info in (
        MetricInfo(name="accuracy", title="Accuracy", unit="share", higher_is_better=True),
        MetricInfo(name="f1_macro", title="Macro F1", unit="share", higher_is_better=True),
        MetricInfo(name="auc", title="ROC AUC", unit="share", higher_is_better=True),
        MetricInfo(name="miou", title="Mean IoU", unit="share", higher_is_better=True),
        MetricInfo(name="map50", title="mAP at 50 %", unit="share", higher_is_better=True),
        MetricInfo(name="rmse", title="RMSE", unit=""),
        MetricInfo(name="mae", title="MAE", unit=""),
        MetricInfo(name="perplexity", title="Perplexity", unit=""),
        MetricInfo(name="psnr", title="PSNR", unit="dB", higher_is_better=True),
        MetricInfo(name="latency_ms", title="Latency", unit="ms"),
        MetricInfo(name="latency_p90_ms", title="Latency p90", unit="ms"),
        MetricInfo(name="latency_p99_ms", title="Latency p99", unit="ms"),
        MetricInfo(name="latency_min_ms", title="Latency minimum", unit="ms"),
        MetricInfo(name="latency_ratio", title="Latency against reference", unit=""),
        MetricInfo(name="load_ms", title="Load time", unit="ms"),
        MetricInfo(name="first_inference_ms", title="First inference", unit="ms"),
        MetricInfo(name="memory_bytes", title="Peak memory", unit="bytes"),
        MetricInfo(name="memory_load_bytes", title="Memory to load", unit="bytes"),
        MetricInfo(name="memory_first_bytes", title="Memory of the first inference", unit="bytes"),
        MetricInfo(name="memory_steady_bytes", title="Memory in steady state", unit="bytes"),
        MetricInfo(name="throughput_per_s", title="Throughput", unit="/s", higher_is_better=True),
        MetricInfo(name="energy_mj", title="Energy", unit="mJ"),
        MetricInfo(name="delegated", title="Delegated nodes", unit="share", higher_is_better=True),
        MetricInfo(name="cost_per_million_usd", title="Cost of a million", unit="USD"),
        MetricInfo(name="size_bytes", title="Size", unit="bytes"),
        MetricInfo(name="compressed_bytes", title="Compressed size", unit="bytes"),
        MetricInfo(name="parameters", title="Parameters", unit="count"),
        MetricInfo(name="macs", title="Multiply-adds", unit="count"),
        MetricInfo(name="worst_class_drop", title="Worst class drop", unit="share", points=True),
        MetricInfo(name="agreement", title="Agreement with the teacher", unit="share", higher_is_better=True),
        MetricInfo(name="correlation", title="Correlation with the teacher", unit="", higher_is_better=True),
        MetricInfo(name="cosine", title="Cosine with the teacher", unit="", higher_is_better=True),
        MetricInfo(
            name="rank_agreement", title="Rank agreement with the teacher", unit="", higher_is_better=True
        ),
        MetricInfo(name="ece_rise", title="Rise of calibration error", unit="share", points=True),
    )
}


AMOUNTS = frozenset({"ms", "bytes", "count", "/s", "mJ", "USD"})
"""Units of what is never below zero."""


DELEGATED = "delegated"
"""The share of nodes that run where and as the file asks for on its runtime."""


MEMORY_METRICS = frozenset({"memory_bytes", "memory_load_bytes", "memory_first_bytes", "memory_steady_bytes"})
"""What a process takes at most, as a whole or in a phase: whether it fits is decided by the upper end."""


def metric_info(name: str) -> MetricInfo:
    """The table's entry, or one for the workload's own quality metric of that name."""
    title = name.replace("_", " ").capitalize()
    return METRICS.get(name) or MetricInfo(name=name, title=title, unit="", higher_is_better=True)


QUALITIES = frozenset({"accuracy", "f1_macro", "auc", "miou", "map50", "rmse", "mae", "perplexity", "psnr"})
"""Metrics of a workload that the table knows; a study has one of them, or one of the user's own."""


SIDE_EFFECTS = ("worst_class_drop", "agreement", "ece_rise", "correlation", "cosine", "rank_agreement")
"""Comparisons of outputs with the teacher's."""


HARDWARE_METRICS = frozenset(
    {
        "latency_ms",
        "latency_p90_ms",
        "latency_p99_ms",
        "latency_min_ms",
        "latency_ratio",
        "memory_bytes",
        "size_bytes",
        "load_ms",
        "first_inference_ms",
        "memory_load_bytes",
        "memory_first_bytes",
        "memory_steady_bytes",
        "throughput_per_s",
        "energy_mj",
        "delegated",
        "cost_per_million_usd",
        "parameters",
        "macs",
    }
)
"""Metrics that depend on the configuration and not on what the weights are."""
