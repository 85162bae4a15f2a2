"""What a million inferences cost: derived from the price of an hour of the device and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...record.evaluation import Quantity
from ..device.stages import DeviceStages
from .further import Subject, Told

COST, THROUGHPUT, LATENCY = "cost_per_million_usd", "throughput_per_s", "latency_ms"
DERIVED, MEASURED = "derived", "measured"


class CostQuestion:
    """`per_hour` is USD for an hour of the device, and how that follows from its profile (None: it does not
    say)."""

    metrics = frozenset({COST})

    def __init__(self, per_hour: tuple[float, str] | None) -> None:
        self._per_hour = per_hour

    def told(self, subject: Subject, device: DeviceStages) -> Told:
        """By the throughput under load where that was measured, else by batch and latency."""
        if self._per_hour is None:
            return Told()
        batch = (subject.setting or device.deployment.usual).batch
        per_second = rate(subject.known, batch)
        return Told(metrics={COST: cost(*self._per_hour, per_second)} if per_second.value > 0 else {})


def rate(known: Mapping[str, Quantity], batch: int) -> Quantity:
    """Inferences per second; `how` says which."""
    if THROUGHPUT in known:
        return replace(known[THROUGHPUT], how=f"{known[THROUGHPUT].value:.4g} /s, the throughput under load")
    latency = known[LATENCY]
    ends = [None if end is None or end <= 0 else batch * 1e3 / end for end in (latency.high, latency.low)]
    value = batch * 1e3 / latency.value
    without_pause = "a batch over its latency" if batch > 1 else "1 / latency"
    return Quantity(
        value=value,
        low=ends[0],
        high=ends[1],
        provenance=latency.provenance,
        how=f"{value:.4g} /s, {without_pause}",
    )


def cost(per_hour: float, price: str, per_second: Quantity) -> Quantity:
    """USD for a million inferences at a rate."""

    of_a_million = per_hour / 3600 * 1e6

    def at(end: float | None) -> float | None:
        return of_a_million / end if end else None

    return Quantity(
        value=of_a_million / per_second.value,
        low=at(per_second.high),
        high=at(per_second.low),
        provenance=DERIVED if per_second.provenance == MEASURED else per_second.provenance,
        how=f"({price}) / 3600 s x 1,000,000 / ({per_second.how})",
    )
