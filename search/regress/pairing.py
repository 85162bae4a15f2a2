"""Whether times of two nights compare, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import hypot, inf, isfinite, sqrt

from ...backends.measure.spread import FEWEST_PROCESSES
from ...profiles.quantity import Quantity
from .baseline import Baseline, Shippable

OTHER_RUNTIME = "the reference runs on another version of its runtime than then"
OTHER_MODEL = "the reference is another one than then"
NOT_KNOWN = "it is not known what the reference was then"

BETWEEN_NIGHTS: Mapping[str, float] = {
    "latency_ratio": 0.004,
    "latency_ms": 0.04,
    "latency_min_ms": 0.04,
    "latency_p90_ms": 0.10,
    "latency_p99_ms": 0.25,
    "load_ms": 0.25,
    "first_inference_ms": 0.25,
    "memory_bytes": 0.01,
    "memory_load_bytes": 0.01,
    "memory_first_bytes": 0.01,
    "memory_steady_bytes": 0.01,
    "throughput_per_s": 0.10,
    "energy_mj": 0.05,
    "cost_per_million_usd": 0.10,
}
"""Standard deviation, as a share, of what two nights differ by beyond their intervals: what a machine is like
from one to the next. `benchmarks/regress` has measured it; docs/nights.md has the figures."""
OF_TIME: Mapping[str, bool] = {
    "latency_p90_ms": False,
    "latency_p99_ms": False,
    "latency_min_ms": False,
    "throughput_per_s": True,
    "cost_per_million_usd": False,
}
"""What goes with the machine's speed, so that it is told against the reference; True: the other way round."""
BY_LOAD = frozenset({*OF_TIME, "latency_ms"} - {"latency_min_ms"})
"""What whatever else runs on the machine moves, unlike quickest runs."""
BUSIER = 1.05
"""So much longer, against quickest ones, typical runs take on a machine that is busier than it was."""
OF_DEVICE = frozenset({*BETWEEN_NIGHTS})
"""What says nothing on another device."""


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Two nights, and what they have in common."""

    then: Baseline
    now: Baseline

    @property
    def degrees(self) -> float:
        """Of freedom of a latency's interval: that of the processes it was measured in."""
        fewest = min(self.then.processes or self.now.processes, self.now.processes)
        return float(fewest - 1) if fewest >= FEWEST_PROCESSES else inf

    @property
    def other_device(self) -> str:
        """Why times of the two do not compare at all; "" where they may."""
        then, now = self.then, self.now
        if then.estimated or now.estimated:
            return "it is estimated, not measured"
        if then.profile and now.profile and then.profile != now.profile:
            return f"it was measured on {then.profile} then, on {now.profile} tonight"
        differing = [
            f"{name} {then.machine[name]} then, {now.machine[name]} tonight"
            for name in sorted(then.machine.keys() & now.machine.keys())
            if then.machine[name] != now.machine[name]
        ]
        return f"another machine: {'; '.join(differing)}" if differing else ""

    @property
    def not_shared(self) -> str:
        """Why ratios to the reference do not compare; "" where it computes the same on the same runtime."""
        then, now = self.then.anchor, self.now.anchor
        if not then.artifact_key or not now.artifact_key:
            return NOT_KNOWN
        same = then.artifact_key == now.artifact_key
        # Weights decide what is computed, and not how long it takes.
        alike = bool(then.structure) and then.structure == now.structure and then.backend == now.backend
        if not same and not alike:
            return OTHER_MODEL
        both = then.versions.keys() & now.versions.keys()
        upgraded = any(then.versions[name] != now.versions[name] for name in both)
        return OTHER_RUNTIME if upgraded else ""

    def disturbed(self, metric: str) -> str:
        """What disturbed one of the two measurements, as far as it moves this metric."""
        said = self.now.disturbed or self.then.disturbed
        if said:
            return f"the measurement was disturbed: {said}"
        then, now = (_busy(one.shipped) for one in (self.then, self.now))
        if metric in BY_LOAD and then is not None and now is not None and now > BUSIER * then:
            longer = f"{100 * (now - 1):.0f} % longer than quickest ones, {100 * (then - 1):.0f} % then"
            return f"the machine is busier than then: typical runs take {longer}"
        return ""

    def between(self, metric: str) -> float:
        """What two nights differ by beyond their intervals: at least what processes of one model differ by on
        this machine, as an A/A has shown, for a ratio that rests on a few of them."""
        least = BETWEEN_NIGHTS.get(metric, 0.0)
        if metric != "latency_ratio":
            return least
        return max(least, sqrt((self.then.process_spread**2 + self.now.process_spread**2) / 2))

    def as_tonight(self, metric: str, expected: Quantity) -> Quantity:
        """What was recorded, were the machine as quick then as it is tonight by the reference both share."""
        then, now = self.then.anchor.latency_ms, self.now.anchor.latency_ms
        if metric not in OF_TIME or self.not_shared or then is None or now is None or not sound(then, now):
            return expected
        above, below = (then, now) if OF_TIME[metric] else (now, then)
        factor = above.value / below.value
        share = hypot(*(_half(one) / one.value for one in (above, below)))
        low, high = (end * factor for end in expected.ends)
        value = expected.value * factor
        down, up = (hypot(end - value, share * value) for end in (low, high))
        return replace(expected, value=value, low=value - down, high=value + up)


def _busy(one: Shippable | None) -> float | None:
    """By what factor typical runs take longer than quickest ones."""
    typical, quickest = (None if one is None else one.metrics.get(f"latency_{n}ms") for n in ("", "min_"))
    if typical is None or quickest is None or not sound(typical, quickest) or quickest.value <= 0:
        return None
    return typical.value / quickest.value


def _half(quantity: Quantity) -> float:
    low, high = quantity.ends
    return (high - low) / 2


def sound(*quantities: Quantity | None) -> bool:
    """Whether all are there and finite."""
    return all(one is not None and isfinite(one.value) for one in quantities)
