"""Energy of an inference on a device without a meter: its time, and what is known of the device's power."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np

from ...profiles.devices.schema import Profile
from ...profiles.quantity import Quantity
from .rests import COVERS, NORMAL_REACH

LEAST_SHARE = 0.1
"""Of a stated power, what an inference may draw beyond idling at the least; all of it at the most."""
POWER_SPREAD = 0.2
"""Standard deviation of the logarithm of power, from one model to another on one device."""


def energy(latency: Quantity, profile: Profile, seen_watts: Sequence[float] = ()) -> Quantity | None:
    """Millijoules of an inference beyond idling, with an interval that covers the truth in COVERS of cases.

    `seen_watts` are energies that were measured on this device, each by its latency (mJ / ms). Where there
    are none, the profile's `power_w` bounds it; where that is not stated either, there is no basis: None.
    """
    if seen_watts:
        logs = np.log(np.asarray(seen_watts, dtype=float))
        middle, count = float(logs.mean()), len(seen_watts)
        spread = float(np.hypot(POWER_SPREAD, logs.std())) * (1 + 1 / count) ** 0.5
        basis = f"power from {count} measurement{'s' if count > 1 else ''} of energy on this device"
    elif profile.power_w is not None:
        most = profile.power_w.value
        middle = log(most * LEAST_SHARE**0.5)
        spread = -log(LEAST_SHARE) / 2 / NORMAL_REACH
        basis = f"{LEAST_SHARE:.0%} to 100 % of the {most:g} W that the profile states"
    else:
        return None
    return _times(latency, middle, spread, basis)


def _times(latency: Quantity, middle: float, spread: float, basis: str) -> Quantity:
    low, high = latency.ends
    of_latency = log(high / low) / 2 if 0 < low < high else 0.0
    width = exp(float(np.hypot(of_latency, NORMAL_REACH * spread)))
    value = latency.value * exp(middle)
    return Quantity(
        value=value,
        low=value / width,
        high=value * width,
        provenance="estimated",
        how=f"latency by {basis}; interval of {COVERS:.0%}",
    )
