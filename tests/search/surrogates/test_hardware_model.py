"""Hardware metrics of classes: measured ones as they are, others predicted, and how surely."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from paretune.search.surrogates import hardware_model
from paretune.search.surrogates.hardware_model import HardwareModel

SIZES = (5, 4, 3, 3)
CLASSES = list(itertools.product(*(range(size) for size in SIZES)))
FEATURES = np.concatenate(
    [np.eye(size)[[c[axis] for c in CLASSES]] for axis, size in enumerate(SIZES)], axis=1
)
EFFECTS = [np.random.default_rng(axis).uniform(0.2, 2.0, size) for axis, size in enumerate(SIZES)]
SUMS = np.array([sum(EFFECTS[axis][v] for axis, v in enumerate(c)) for c in CLASSES])
PRODUCTS = np.array([np.prod([EFFECTS[axis][v] for axis, v in enumerate(c)]) for c in CLASSES])
MIXED = np.array([EFFECTS[0][c[0]] * EFFECTS[1][c[1]] + EFFECTS[2][c[2]] * EFFECTS[3][c[3]] for c in CLASSES])
NO_COUNTS = np.zeros((len(CLASSES), 0))


def model(*metrics: str) -> HardwareModel:
    return HardwareModel(FEATURES, len(SIZES), NO_COUNTS, metrics or ("latency_ms",))


def learned(values: np.ndarray, count: int, seed: int = 0) -> tuple[HardwareModel, np.ndarray]:
    """A model that measured so many classes, and the others."""
    order = np.random.default_rng(seed).permutation(len(CLASSES))
    found = model()
    for row in map(int, order[:count]):
        found.learn(row, {"latency_ms": values[row]})
    return found, order[count:]


def wrong(found: HardwareModel, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.abs(np.log(found.values[rows, 0] / values[rows]))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9])
@pytest.mark.parametrize("values", [SUMS, PRODUCTS], ids=["sums", "products"])
def test_a_part_of_the_classes_tells_the_others(values, scale):
    found, others = learned(values * scale, 45)
    assert np.median(wrong(found, values * scale, others)) < 0.02
    assert np.quantile(wrong(found, values * scale, others), 0.95) < 0.06


def test_sums_of_products_need_more_and_are_learned_too():
    found, others = learned(MIXED, 90)
    assert np.median(wrong(found, MIXED, others)) < 0.05


def test_noise_of_the_measurements_is_not_learned_by_heart():
    noisy = SUMS * np.exp(np.random.default_rng(3).normal(0, 0.05, len(SUMS)))
    found, others = learned(noisy, 90)
    assert np.median(wrong(found, SUMS, others)) < 0.05
    assert 0.02 < found.errors[0] < 0.15


def test_what_was_measured_is_given_back_as_it_is():
    found, _ = learned(SUMS, 30)
    rows = np.flatnonzero(found.measured)
    assert len(rows) == 30
    assert (found.values[rows, 0] == SUMS[rows]).all()
    row = int(rows[0])
    found.learn(row, {"latency_ms": 99.0})
    assert found.values[row, 0] == 99.0
    assert found.measured.sum() == 30


@pytest.mark.parametrize("values", [SUMS, PRODUCTS], ids=["sums", "products"])
def test_the_stated_error_shrinks_with_data_and_is_near_the_true_one(values):
    stated = []
    for count in (0, 8, 40, 120):
        found, others = learned(values, count)
        stated.append(found.errors[0])
    assert stated[0] == hardware_model.UNKNOWN_ERROR
    assert stated[0] > stated[1] > stated[3]
    assert stated[1] > stated[2]
    true = np.sqrt((wrong(found, values, others) ** 2).mean())
    assert stated[3] < 10 * true + 0.01


def test_how_often_choices_occur_tells_what_single_axes_do_not():
    cells = list(itertools.product(range(3), repeat=5))
    features = np.concatenate([np.eye(3)[[c[axis] for c in cells]] for axis in range(5)], axis=1)
    counts = np.array([[c.count(v) for v in range(3)] for c in cells]) / 1.2
    values = np.array([np.exp(0.5 * c.count(2)) + 0.2 * c.count(1) for c in cells])
    order = np.random.default_rng(0).permutation(len(cells))
    errors = []
    for told in (counts, np.zeros((len(cells), 0))):
        found = HardwareModel(features, 5, told, ("latency_ms",))
        for row in map(int, order[:30]):
            found.learn(row, {"latency_ms": values[row]})
        errors.append(np.median(wrong(found, values, order[30:])))
    assert errors[0] < errors[1]


def test_more_than_predictions_rest_on(monkeypatch):
    monkeypatch.setattr(hardware_model, "MOST_MEASURED", 40)
    found, others = learned(SUMS, 100)
    assert found.measured.sum() == 100
    rows = np.flatnonzero(found.measured)
    assert (found.values[rows, 0] == SUMS[rows]).all()
    assert np.median(wrong(found, SUMS, others)) < 0.03
    order = np.random.default_rng(0).permutation(len(CLASSES))
    found.learn(int(order[0]), {"latency_ms": 5.0})  # long forgotten, and measured again
    assert found.values[order[0], 0] == 5.0
    # Rows and what was kept of them still belong together: only the latest forty count.
    last, _ = learned(SUMS, 0)
    for row in map(int, order[60:100]):
        last.learn(row, {"latency_ms": SUMS[row]})
    again, _ = learned(SUMS, 100)
    assert again.values[others, 0] == pytest.approx(last.values[others, 0], rel=0.1)


def test_metrics_are_apart_and_one_never_seen_stays_unknown():
    found = model("latency_ms", "size_bytes", "memory_bytes")
    for row in range(0, len(CLASSES), 4):
        found.learn(row, {"latency_ms": SUMS[row], **({"size_bytes": PRODUCTS[row]} if row % 8 == 0 else {})})
    others = np.setdiff1d(np.arange(len(CLASSES)), np.arange(0, len(CLASSES), 4))
    assert np.isnan(found.values[:, 2]).all()
    assert found.errors[2] == hardware_model.UNKNOWN_ERROR
    assert np.isfinite(found.values[:, :2]).all()
    assert np.median(wrong(found, SUMS, others)) < 0.05
    assert (found.values[::8, 1] == PRODUCTS[::8]).all()
    assert np.isnan(found.known[4, 1])


def test_refused_classes_stay_refused_and_teach_nothing():
    found, _ = learned(SUMS, 30)
    before = found.values.copy()
    row = int(np.flatnonzero(~found.measured)[0])
    found.refuse(row)
    found.learn(int(np.flatnonzero(~found.measured)[1]), {"latency_ms": 1.0})
    assert found.refused.nonzero()[0].tolist() == [row]
    assert not found.measured[row]
    assert before.shape == found.values.shape


def test_nothing_measured_means_nothing_known():
    found = model()
    assert np.isnan(found.values).all()
    assert found.errors.tolist() == [hardware_model.UNKNOWN_ERROR]


@pytest.mark.parametrize(
    "values",
    [
        [3.0],
        [3.0, 5.0],
        [2.0] * 12,
        [0.0] * 12,
        [0.0, 1.0] * 6,
        [0.0, 1e9] * 6,
        [1e-12, 1e-9] * 6,
        [1e6] * 11 + [np.nextafter(1e6, 2e6)],
        [*np.geomspace(1e-9, 1e12, 12)],
    ],
    ids=["one", "two", "equal", "zeros", "some zero", "far apart", "tiny", "a hair apart", "every size"],
)
def test_odd_values_give_numbers_above_zero_and_no_warning(values):
    found = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for place, value in enumerate(values):
            found.learn(11 * place, {"latency_ms": value})
            predicted, errors = found.values, found.errors
    assert np.isfinite(predicted).all()
    assert (predicted > 0).all()
    assert 0 <= errors[0] <= hardware_model.UNKNOWN_ERROR
    if len(set(values)) == 1 and values[0]:
        assert predicted[:, 0] == pytest.approx(np.full(len(CLASSES), values[0]))


def test_predictions_do_not_run_away_from_what_was_measured():
    found, others = learned(np.exp(4 * SUMS), 12)
    measured = found.values[found.measured, 0]
    assert found.values[others, 0].min() > measured.min() / 100
    assert found.values[others, 0].max() < measured.max() * 100
