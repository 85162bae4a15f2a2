"""Latencies of devices that were not measured: synthetic devices with factors of their own."""

from itertools import pairwise

import numpy as np
import pytest
from paretune.backends.estimate.costs import Kernel, LayerCost, ModelCost
from paretune.backends.estimate.latency import Configuration, LatencyEstimator, Observed, bound_ms
from paretune.backends.estimate.situation import Situation
from paretune.backends.estimate.terms import TERMS, terms_ms
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import UserError
from scipy.stats import spearmanr

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


PI, PI_5, X86, T4 = (
    Situation(load_profile(name), "r")
    for name in ("raspberry-pi-4", "raspberry-pi-5", "x86-avx2", "nvidia-t4")
)


@pytest.fixture(scope="module")
def told():
    """Devices with factors of their own: models, measurements of three devices, and those of a fourth."""
    rng = np.random.default_rng(0)
    models = [model(rng) for _ in range(90)]
    others = [
        one
        for other in (PI_5, X86, T4)
        for one in measured(models[:25], other, rng.normal(0.8, 0.5, len(TERMS)), rng)
    ]
    return models, others, measured(models, PI, rng.normal(0.8, 0.5, len(TERMS)), rng)


def tried(told, count):
    """Rank correlation, coverage and half width of the interval of the last sixty models."""
    _, others, own = told
    logs, half = LatencyEstimator([*others, *own[:count]]).logarithms([one.of for one in own[30:]])
    truth = np.log([one.latency_ms for one in own[30:]])
    return spearmanr(logs, truth).statistic, np.mean(np.abs(logs - truth) <= half), np.median(half)


def test_measurements_of_the_device_make_its_estimates_surer(told):
    figures = [tried(told, count) for count in (0, 3, 10, 30)]
    ranks, covered, widths = zip(*figures, strict=True)
    assert all(later > earlier - 0.03 for earlier, later in pairwise(ranks))
    assert ranks[2] > 0.97
    assert widths[2] < widths[0] / 2
    assert np.mean(covered[1:]) > 0.85


def test_estimates_are_numbers_in_order_whatever_comes_first(told):
    _, others, own = told
    wanted = [one.of for one in own[30:40]]
    first = LatencyEstimator([*others, *own[:10]]).latencies(wanted)
    second = LatencyEstimator([*own[9::-1], *others[::-1]]).latencies(wanted[::-1])[::-1]
    for one, other in zip(first, second, strict=True):
        assert one.provenance == "estimated"
        assert 0 < one.low < one.value < one.high < np.inf
        for name in ("low", "value", "high"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=0.02)


def test_what_to_measure_is_different_and_tells_more_than_what_is_alike(told):
    _, others, own = told
    wanted = [one.of for one in own]
    estimator = LatencyEstimator(others)
    chosen = estimator.to_measure(wanted, 10)
    assert len(set(chosen)) == 10
    assert sorted(estimator.to_measure(wanted[:3])) == [0, 1, 2]
    assert estimator.to_measure([]) == ()
    widths = []
    for places in (chosen, [chosen[0]] * 10):
        after = LatencyEstimator([*others, *(own[place] for place in places)])
        widths.append(np.median(after.logarithms(wanted)[1]))
    assert widths[0] < widths[1]


def test_nothing_measured_gives_a_wide_interval_above_the_roofline():
    one = Configuration(cost=model(np.random.default_rng(1)), situation=PI)
    (quantity,) = LatencyEstimator().latencies([one])
    assert bound_ms(one.cost, one.situation) < quantity.value
    assert quantity.high > 3 * quantity.value


@pytest.mark.parametrize(
    ("field", "layer"),
    [
        ("bandwidth_gb_per_s", LayerCost(kernel=Kernel.ELEMENTWISE, read=1e8, written=1e8)),
        ("caches", LayerCost(kernel=Kernel.ELEMENTWISE, read=1e8, written=1e8)),
        ("peaks_gop_per_s", LayerCost(kernel=Kernel.CONVOLUTION, macs=1e9, weights=10, read=10, written=10)),
    ],
)
def test_a_figure_that_the_profile_does_not_state_makes_estimates_less_sure(field, layer):
    cpu = PI.profile.cpu.model_copy(update={field: {} if field == "peaks_gop_per_s" else None})
    without = Situation(PI.profile.model_copy(update={"cpu": cpu}), "toy")
    stated, guessed = (
        LatencyEstimator().latencies([Configuration(cost=ModelCost(layers=(layer,)), situation=one)])[0]
        for one in (PI, without)
    )
    assert guessed.high / guessed.low > 1.3 * stated.high / stated.low
    assert f"cpu.{field}" in guessed.how
    assert f"cpu.{field}" not in stated.how


def test_a_gpu_without_a_peak_is_refused_with_the_field():
    gpu = T4.profile.gpu.model_copy(update={"peaks_gop_per_s": {}})
    profile = T4.profile.model_copy(update={"gpu": gpu})
    with pytest.raises(UserError, match=r"gpu\.peaks_gop_per_s\.fp32"):
        _ = Situation(profile, "toy").speeds


def test_a_section_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="the profile describes none"):
        _ = Situation(PI.profile, "toy", on="gpu").speeds


def test_integers_are_faster_where_the_processor_has_their_products():
    plain, dot = (
        Situation(load_profile(name), "toy").speeds for name in ("raspberry-pi-4", "raspberry-pi-5")
    )
    assert plain.macs_per_ms["int8"] == plain.macs_per_ms["float"]
    assert dot.macs_per_ms["int8"] > 2 * dot.macs_per_ms["float"]


@pytest.mark.parametrize("latency", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_latency_is_refused(latency):
    one = Configuration(cost=model(np.random.default_rng(1)), situation=PI)
    with pytest.raises(UserError, match="positive"):
        LatencyEstimator([Observed(of=one, latency_ms=latency)])
