"""The time of a model as a sum of terms, each a piece of work at the speed that the profile states.

A situation's own factor for each term (how much longer than stated) is what is learned from measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from .costs import MULTIPLYING, Kernel, LayerCost, ModelCost
from .situation import Arithmetic, Situation, Speeds, arithmetic

Floats = NDArray[np.float64]

LAUNCH_MS = {"cpu": 0.003, "cuda": 0.005}
"""To start one kernel, before anything is known of the runtime; on a CPU, of a core of USUAL_CORE."""
USUAL_CORE, SCALAR = 2e7, 0.25
"""Multiply-adds in a millisecond of a core. Wide vectors start no kernel faster: of two cores, the power of
what they multiply that tells how fast they start one."""
CALL_MS = 0.02
LOST_TOGETHER = 0.5
"""What n cores reach together is n to the power of one less this: on small layers they mostly wait."""


@dataclass(frozen=True)
class Term:
    """What takes the time (compute, memory, launch, call), for which kernels, and in which arithmetic."""

    resource: str
    kind: str
    usual: float
    """Logarithm of the factor that is usual: kernels do not reach the stated speeds."""


def _terms() -> tuple[Term, ...]:
    usual = {Kernel.DEPTHWISE: log(8.0)}
    slower: dict[Arithmetic, float] = {"float": 0.0, "half": 0.3, "int8": 0.6}
    compute = [
        Term("compute", f"{kernel.value} {name}", usual.get(kernel, log(2.0)) + more)
        for kernel in MULTIPLYING
        for name, more in slower.items()
    ]
    memory = [Term("memory", kind, log(1.5)) for kind in ("weights", "multiplying", "pool", "other")]
    launch = [Term("launch", kernel.value, 0.0) for kernel in Kernel]
    return (*compute, *memory, *launch, Term("call", "", 0.0))


TERMS = _terms()
USUAL: Floats = np.array([term.usual for term in TERMS])
_PLACE = {(term.resource, term.kind): place for place, term in enumerate(TERMS)}


def terms_ms(cost: ModelCost, situation: Situation) -> Floats:
    """[TERMS] milliseconds of each term at the stated speeds; their sum by factors of 1 is the roofline."""
    speeds = situation.speeds
    found = np.zeros(len(TERMS))
    bandwidth = speeds.bandwidth(cost.weight_bytes + cost.peak_activation_bytes)
    launch = _launch_ms(speeds)
    for layer in cost.layers:
        _add(found, layer, speeds, bandwidth, launch)
    found[_PLACE["call", ""]] += CALL_MS
    return found


def _add(found: Floats, layer: LayerCost, speeds: Speeds, bandwidth: float, launch: float) -> None:
    kind = "multiplying" if layer.kernel.multiplies else "other"
    if layer.kernel is Kernel.POOL:
        kind = "pool"
    found[_PLACE["memory", kind]] += (layer.read_bytes + layer.written_bytes) / bandwidth
    if layer.kernel is not Kernel.MOVE:  # a lookup reads a few rows of its table
        found[_PLACE["memory", "weights"]] += layer.weight_bytes / bandwidth
    found[_PLACE["launch", layer.kernel.value]] += layer.launches * launch
    if layer.kernel.multiplies:
        name = arithmetic(layer.precision)
        found[_PLACE["compute", f"{layer.kernel.value} {name}"]] += (
            layer.macs / speeds.macs_per_ms[name] * speeds.together**LOST_TOGETHER
        )


def _launch_ms(speeds: Speeds) -> float:
    if speeds.family == "cuda":
        return LAUNCH_MS["cuda"]
    core = speeds.macs_per_ms["float"] / speeds.together
    return LAUNCH_MS["cpu"] * float((USUAL_CORE / core) ** SCALAR)


def bound_ms(cost: ModelCost, situation: Situation) -> float:
    """The roofline: no runtime can be faster where the profile's figures are right; launches not counted."""
    speeds = situation.speeds
    bandwidth = speeds.bandwidth(cost.weight_bytes + cost.peak_activation_bytes)
    total = 0.0
    for layer in cost.layers:
        moved = layer.weight_bytes + layer.read_bytes + layer.written_bytes
        total += max(layer.macs / speeds.macs_per_ms[arithmetic(layer.precision)], moved / bandwidth)
    return total
