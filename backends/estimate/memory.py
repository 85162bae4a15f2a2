"""Memory of models in situations that were not measured: what the runtime needs by itself, and the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...profiles.quantity import Quantity
from .latency import Configuration
from .rests import COVERS, NORMAL_REACH
from .terms import Floats

COPIES, COPIES_SPREAD = 1.5, 0.5
"""How often a runtime holds weights and activations: packed anew beside the file, in an arena with gaps."""
COPIES_COUNT_FOR = 5.0
ELSEWHERE = 0.2
"""Standard deviation of the logarithm of a runtime's own need, from one device to another."""


@dataclass(frozen=True, kw_only=True)
class ObservedMemory:
    """Peak memory that was measured, in bytes."""

    of: Configuration
    memory_bytes: float


def memories(
    wanted: Sequence[Configuration], observed: Sequence[ObservedMemory]
) -> tuple[Quantity | None, ...]:
    """Bytes with an interval that covers the truth in COVERS of cases; None for a runtime of which no memory
    was ever measured: what it needs by itself is most of it for small models, and stands in no profile.
    """
    needs: dict[str, _RuntimeNeed | None] = {}
    for one in wanted:
        runtime = one.situation.runtime
        if runtime not in needs:
            needs[runtime] = _need([seen for seen in observed if seen.of.situation.runtime == runtime])
    return tuple(_estimate(one, needs[one.situation.runtime]) for one in wanted)


@dataclass(frozen=True, kw_only=True)
class _RuntimeNeed:
    """What a runtime needs: `base` bytes, `copies` of the model's own; how unsure that is, and the rest."""

    base: float
    copies: float
    copies_spread: float
    rest: float
    devices: frozenset[str]
    count: int


def _held(one: Configuration) -> float:
    return one.cost.weight_bytes + one.cost.peak_activation_bytes


def _need(observed: Sequence[ObservedMemory]) -> _RuntimeNeed | None:
    if not observed:
        return None
    held: Floats = np.array([_held(one.of) for one in observed])
    whole: Floats = np.array([one.memory_bytes for one in observed])
    apart = held - held.mean()
    # A line, whose slope is taken to be COPIES as far as the models do not tell it.
    scatter = max(float(np.std(whole - COPIES * held)), 0.02 * float(whole.mean()))
    known, usual = float(apart @ apart) / scatter**2, 1 / COPIES_SPREAD**2
    copies = max(0.5, (float(apart @ whole) / scatter**2 + COPIES * usual) / (known + usual))
    rests = whole - copies * held
    base = max(float(np.median(rests)), 0.0)
    return _RuntimeNeed(
        base=base,
        copies=copies,
        copies_spread=float((known + usual) ** -0.5),
        rest=max(float(np.std(rests)), 0.03 * float(whole.mean())),
        devices=frozenset(one.of.situation.device for one in observed),
        count=len(observed),
    )


def _estimate(one: Configuration, need: _RuntimeNeed | None) -> Quantity | None:
    if need is None:
        return None
    held = _held(one)
    value = need.base + need.copies * held
    elsewhere = 0.0 if one.situation.device in need.devices else ELSEWHERE * need.base
    spread = float(np.hypot(np.hypot(need.copies_spread * held, need.rest), elsewhere))
    width = float(np.exp(NORMAL_REACH * spread / value))
    measured = f"{need.count} measurement{'s' if need.count > 1 else ''} of the runtime's memory"
    return Quantity(
        value=value,
        low=max(held, value / width),
        high=value * width,
        provenance="estimated",
        how=f"weights, activations alive at once, and {measured}; interval of {COVERS:.0%}",
    )
