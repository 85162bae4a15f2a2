"""Latencies of devices that were not measured: synthetic devices with factors of their own."""

import numpy as np
import pytest
from paretune.backends.estimate.costs import Kernel, LayerCost, ModelCost
from paretune.backends.estimate.latency import Configuration, LatencyEstimator, Observed, bound_ms
from paretune.backends.estimate.situation import Situation
from paretune.backends.estimate.terms import terms_ms
from paretune.profiles.devices.loader import load_profile

KERNELS = (Kernel.CONVOLUTION, Kernel.POINTWISE, Kernel.POOL, Kernel.ELEMENTWISE)


def model(rng):
    """A random stack of layers."""
    layers = []
    for _ in range(int(rng.integers(3, 12))):
        channels, size = int(rng.choice([8, 16, 32])), int(rng.choice([8, 16, 32]))
        kernel = KERNELS[rng.integers(len(KERNELS))]
        volume = channels * size**2
        weights = {Kernel.CONVOLUTION: 9, Kernel.POINTWISE: 1}.get(kernel, 0) * channels**2
        layers.append(
            LayerCost(kernel=kernel, macs=weights * size**2, weights=weights, read=volume, written=volume)
        )
    return ModelCost(layers=tuple(layers), peak_elements=volume)


def measured(models, situation, factors, rng, noise=0.05):
    """What a device with these factors would take."""
    return [
        Observed(
            of=Configuration(cost=one, situation=situation),
            latency_ms=float(terms_ms(one, situation) @ np.exp(factors) * np.exp(rng.normal(0, noise))),
        )
        for one in models
    ]


PI, PI_5, X86 = (
    Situation(load_profile(name), "r") for name in ("raspberry-pi-4", "raspberry-pi-5", "x86-avx2")
)


def test_ten_measurements_narrow_the_interval_and_rank_the_rest():
    rng = np.random.default_rng(0)
    models = [model(rng) for _ in range(60)]
    factors = {one: rng.normal(0.8, 0.5, len(terms_ms(models[0], PI))) for one in (PI, PI_5, X86)}
    told = [o for one in (PI_5, X86) for o in measured(models[:25], one, factors[one], rng)]
    wanted = [Configuration(cost=one, situation=PI) for one in models[10:]]
    truth = np.array([one.latency_ms for one in measured(models[10:], PI, factors[PI], rng)])
    before = LatencyEstimator(told).latencies(wanted)
    after = LatencyEstimator([*told, *measured(models[:10], PI, factors[PI], rng)]).latencies(wanted)
    for quantity in (*before, *after):
        assert 0 < quantity.low < quantity.value < quantity.high < np.inf
        assert quantity.provenance == "estimated"
    width = [np.median([np.log(q.high / q.low) for q in quantities]) for quantities in (before, after)]
    assert width[1] < width[0] / 2
    assert np.corrcoef(np.log(truth), np.log([q.value for q in after]))[0, 1] > 0.95


def test_nothing_measured_gives_a_wide_interval_above_the_roofline():
    one = Configuration(cost=model(np.random.default_rng(1)), situation=PI)
    (quantity,) = LatencyEstimator().latencies([one])
    assert bound_ms(one.cost, one.situation) < quantity.value
    assert quantity.high > 3 * quantity.value


@pytest.mark.parametrize("latency", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_latency_is_refused(latency):
    one = Configuration(cost=model(np.random.default_rng(1)), situation=PI)
    with pytest.raises(Exception, match="positive"):
        LatencyEstimator([Observed(of=one, latency_ms=latency)])
