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
    say). `by_load`: the study names the throughput, so that what is predicted of it counts as well."""

    metrics = frozenset({COST})

    def __init__(self, per_hour: tuple[float, str] | None, *, by_load: bool = False) -> None:
        self._per_hour, self._by_load = per_hour, by_load

    def told(self, subject: Subject, device: DeviceStages) -> Told:
        """By the throughput where that was measured under load or the study names it, else by batch and
        latency: back to back."""
        if self._per_hour is None:
            return Told()
        batch = (subject.setting or device.deployment.usual).batch
        per_second = rate(subject.known, batch, by_load=self._by_load)
        return Told(metrics={COST: cost(*self._per_hour, per_second)} if per_second.value > 0 else {})


def rate(known: Mapping[str, Quantity], batch: int, *, by_load: bool = False) -> Quantity:
    """Inferences per second; `how` says which."""
    load = known.get(THROUGHPUT)
    if load is not None and (load.provenance == MEASURED or by_load):
        which = "under load" if load.provenance == MEASURED else f"throughput that is {load.provenance}"
        return replace(load, how=f"{load.value:.4g} /s, {which}")
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
        provenance=DERIVED if per_second.provenance in (MEASURED, DERIVED) else per_second.provenance,
        how=f"({price}) / 3600 s x 1,000,000 / ({per_second.how})",
    )
