"""Memory and energy of situations that were not measured."""

import numpy as np
import pytest
from paretune.backends.estimate.costs import Kernel, LayerCost, ModelCost
from paretune.backends.estimate.energy import energy
from paretune.backends.estimate.latency import Configuration
from paretune.backends.estimate.memory import ObservedMemory, memories
from paretune.backends.estimate.situation import Situation
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.quantity import Quantity

PI, PI_5, PHONE = (load_profile(name) for name in ("raspberry-pi-4", "raspberry-pi-5", "pixel-8"))


def of(weights, profile=PI, runtime="a"):
    layer = LayerCost(kernel=Kernel.PRODUCT, macs=weights, weights=weights, read=10, written=10)
    return Configuration(
        cost=ModelCost(layers=(layer,), peak_elements=20), situation=Situation(profile, runtime)
    )


def seen(weights, profile=PI, runtime="a", copies=2.0):
    return ObservedMemory(of=of(weights, profile, runtime), memory_bytes=2e7 + copies * 4 * weights)


def test_a_runtime_of_which_nothing_is_known_has_no_memory():
    assert memories([of(1e6, runtime="b")], [seen(1e6)]) == (None,)


def test_memory_is_what_the_runtime_needs_and_the_model():
    observed = [seen(weights) for weights in np.linspace(1e5, 1e7, 12)]
    (here, there) = memories([of(5e6), of(5e6, PI_5)], observed)
    assert here.low < 2e7 + 4e7 < here.high
    assert here.low >= 2e7  # what the weights alone take
    assert there.high - there.low > here.high - here.low  # another device is less sure


def test_one_measurement_gives_a_wide_interval():
    (one,) = memories([of(1e7)], [seen(1e5)])
    (many,) = memories([of(1e7)], [seen(weights) for weights in np.linspace(1e5, 1e7, 12)])
    assert one.high / one.low > 1.5 * many.high / many.low


def test_energy_needs_a_basis():
    latency = Quantity(value=10.0, low=8.0, high=12.5, provenance="estimated")
    assert energy(latency, PHONE) is None  # states no power
    stated = energy(latency, PI)
    assert stated.high <= 2 * PI.power_w.value * latency.value
    measured = energy(latency, PI, [2.0, 2.2, 1.9])
    assert measured.value == pytest.approx(20, rel=0.05)
    assert measured.low < 20 < measured.high
    assert stated.high / stated.low > 2 * measured.high / measured.low
