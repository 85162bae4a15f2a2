"""Right kernels of two processors agree, wrong ones do not: on a small quantized network in numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from paretune.backends.contract.agreement import error_of
from paretune.profiles.precision import Precision
from paretune.search.stages.device.tolerance import difference, share_at_least, share_at_most

RNG = np.random.default_rng(3)
SIZES = (32, 48, 48, 48, 10)
SAMPLES = RNG.normal(size=(200, SIZES[0])) * RNG.uniform(0.5, 1.5, size=(200, 1))
WEIGHTS = [RNG.normal(size=(a, b)) / np.sqrt(a) for a, b in pairwise(SIZES)]
BIASES = [RNG.normal(size=b) * 0.3 for b in SIZES[1:]]


def float_network(x, dtype=np.float64):
    for number, (weights, bias) in enumerate(zip(WEIGHTS, BIASES, strict=True)):
        x = (x.astype(dtype) @ weights.astype(dtype) + bias.astype(dtype)).astype(dtype)
        x = np.maximum(x, 0) if number < len(WEIGHTS) - 1 else x
    return x.astype(np.float32)


def ranges():
    x, found = SAMPLES, [float(np.abs(SAMPLES).max())]
    for weights, bias in zip(WEIGHTS, BIASES, strict=True):
        x = np.maximum(x @ weights + bias, 0)
        found.append(float(np.abs(x).max()))
    found[-1] = float(np.abs(float_network(SAMPLES)).max())
    return found


def int8_network(x, round_with=np.rint, spoil=lambda number, sums: sums, sums_of=np.matmul):
    """Each layer: integers in, sums in 32 bits, integers out. `spoil` changes the sums of a layer."""
    limits = ranges()
    step = limits[0] / 127
    codes = np.clip(np.rint(x / step), -127, 127)
    for number, (weights, bias) in enumerate(zip(WEIGHTS, BIASES, strict=True)):
        grid = np.abs(weights).max() / 127
        sums = sums_of(codes, np.rint(weights / grid)) + np.rint(bias / (grid * step))
        sums = spoil(number, sums)
        sums = np.maximum(sums, 0) if number < len(WEIGHTS) - 1 else sums
        out = limits[number + 1] / 127
        codes, step = np.clip(round_with(sums * (grid * step / out)), -127, 127), out
    return (codes * step).astype(np.float32)


WANTED = float_network(SAMPLES)
HERE = int8_network(SAMPLES)
OWN = error_of(WANTED, HERE)


def in_pairs_of_16_bits(codes, weights):
    """What x86 without a dot product does: unsigned codes, and sums of two products that saturate."""
    pairs = ((codes[:, :, None] + 128) * weights).reshape(len(codes), -1, 2, weights.shape[1]).sum(axis=2)
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(axis=1) - 128 * weights.sum(axis=0)


def zeroed(layer, share):
    def spoil(number, sums):
        keep = np.arange(sums.shape[1]) >= share * sums.shape[1]
        return sums * keep if number == layer else sums

    return spoil


def turned_round(layer):
    return lambda number, sums: sums[:, ::-1] if number == layer else sums


def last_bits_lost(bits):
    return lambda number, sums: np.floor(sums / 2**bits) * 2**bits


WRONG = {
    "zeroed channels": int8_network(SAMPLES, spoil=zeroed(1, 0.125)),
    "a layer turned round": int8_network(SAMPLES, spoil=turned_round(2)),
    "outputs turned round": HERE[:, ::-1],
    "always rounded down": int8_network(SAMPLES, round_with=lambda x: np.floor(x - 0.5)),
    "rounded coarsely": int8_network(SAMPLES, round_with=lambda x: np.rint(x / 8) * 8),
    "sums saturate": int8_network(SAMPLES, sums_of=in_pairs_of_16_bits),
    "12 bits of sums lost": int8_network(SAMPLES, spoil=last_bits_lost(12)),
    "samples shifted by one": np.roll(HERE, 1, axis=0),
    "all zero": np.zeros_like(HERE),
    "a constant": np.tile(HERE.mean(axis=0), (len(HERE), 1)),
    "one sample in 100 is another's": np.where(np.arange(200)[:, None] % 100 == 7, HERE[::-1], HERE),
    "10 % too large": HERE * np.float32(1.1),
}
RIGHT = {
    "the same": HERE,
    "the last bit": HERE * np.float32(1 + 2e-7),
    "half to the other side": int8_network(SAMPLES, round_with=lambda x: np.floor(x + 0.5)),
    "one step in one value of fifty": int8_network(
        SAMPLES, round_with=lambda x: np.rint(x) + (np.random.default_rng(1).random(x.shape) < 0.02)
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_kernels_are_beyond(name):
    assert difference(HERE, WRONG[name], Precision.INT8, OWN).beyond
    assert difference(WANTED, float_like(name), Precision.FP32, {"rms": 0.0, "worst": 0.0}).beyond


def float_like(name):
    return WRONG[name] if name != "samples shifted by one" else np.roll(WANTED, 1, axis=0)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("own", [OWN, {}])
def test_right_kernels_are_not(name, own):
    assert not difference(HERE, RIGHT[name], Precision.INT8, own).beyond


def test_float_kernels_of_another_processor_are_within():
    exact, single = float_network(SAMPLES), float_network(SAMPLES, np.float32)
    half = float_network(SAMPLES, np.float16)
    assert not difference(exact, single, Precision.FP32, {"rms": 0.0, "worst": 0.0}).beyond
    assert not difference(exact, half, Precision.FP16, error_of(exact, single)).beyond
    assert difference(exact, half, Precision.FP32, {"rms": 0.0, "worst": 0.0}).beyond


def test_a_processor_that_saturates_is_known_and_garbage_from_it_is_not():
    saturated = WRONG["sums saturate"]
    assert not difference(HERE, saturated, Precision.INT8, OWN, saturates=True).beyond
    for name in ("outputs turned round", "all zero", "samples shifted by one", "a layer turned round"):
        assert difference(HERE, WRONG[name], Precision.INT8, OWN, saturates=True).beyond, name


def test_outputs_that_hardly_differ_between_samples_are_held_by_what_differs():
    level = HERE + np.float32(100)
    assert difference(level, WRONG["a constant"] + np.float32(100), Precision.FP32, {"rms": 0.0}).beyond
    assert not difference(level, level * np.float32(1 + 1e-6), Precision.FP32, {"rms": 0.0}).beyond


def test_decisions_may_flip_where_they_were_close():
    classes = HERE.argmax(axis=1)
    few, many = classes.copy(), classes.copy()
    few[:4] = (few[:4] + 1) % 10
    many[:40] = (many[:40] + 1) % 10
    assert not difference(classes, few, Precision.INT8, {"rms": 0.02, "worst": 1.0}).beyond
    assert difference(classes, many, Precision.INT8, {"rms": 0.02, "worst": 1.0}).beyond


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (4,), (1, 5), (0, 5)])
def test_any_form_is_compared(shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = difference(array, array.copy(), Precision.FP32, {})
    assert (found.beyond, found.off) == (False, 0.0)


def test_flipped_samples_are_counted_with_the_exact_interval():
    found = difference(HERE, WRONG["outputs turned round"], Precision.INT8, OWN)
    assert found.flipped == int((HERE.argmax(1) != HERE[:, ::-1].argmax(1)).sum())
    assert (share_at_least(0, 10), share_at_most(10, 10)) == (0.0, 1.0)
    assert share_at_most(0, 10, 0.025) == pytest.approx(0.3085, abs=1e-4)  # Clopper and Pearson's table
    assert share_at_least(10, 10, 0.025) == pytest.approx(0.6915, abs=1e-4)
