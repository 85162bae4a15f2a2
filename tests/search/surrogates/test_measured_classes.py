"""Sums over measured classes, in parts as pair by pair; inverses that follow what is held."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from paretune.search.surrogates.kept_inverse import KeptInverse
from paretune.search.surrogates.measured_classes import Likeness, MeasuredClasses

CELLS = list(itertools.product(range(3), repeat=4))
FEATURES = np.concatenate([np.eye(3)[[c[axis] for c in CELLS]] for axis in range(4)], axis=1)
COUNTS = np.array([[c.count(v) for v in range(3)] for c in CELLS]) / 1.2
FORM = Likeness(alone=0.4, pairs=0.7, whole=1.0, counts=0.5, noise=0.01)


@pytest.mark.parametrize("kept", [1.0, 0.3], ids=["all combinations", "some of them"])
def test_a_sum_is_that_over_all_pairs(kept):
    rng = np.random.default_rng(1)
    some = np.flatnonzero(rng.random(len(CELLS)) < kept)
    features, counts = FEATURES[some], COUNTS[some]
    classes = MeasuredClasses(features, 4, counts, 10)
    for row in map(int, rng.choice(len(some), 13, replace=False)):  # the first make room
        classes.add(row)
    weights = rng.standard_normal(10)
    share = features[classes.rows] @ features.T / 4
    apart = ((counts[classes.rows][:, None] - counts) ** 2).sum(axis=2)
    likeness = 0.4 * share + 0.7 * share**2 + np.exp(2.8 * (share - 1)) + 0.5 * np.exp(-apart / 8)
    assert classes.weighted(FORM, weights) == pytest.approx(weights @ likeness)
    places = np.arange(10)
    assert classes.near(FORM, places[2:4], places) == pytest.approx(likeness[2:4][:, classes.rows])


def test_an_inverse_follows_what_is_added_exchanged_and_left_out():
    rng = np.random.default_rng(0)
    points = rng.random((60, 3))
    held = np.arange(40)

    def kernel(places, others):
        apart = points[held[places]][:, None] - points[held[others]]
        return np.exp(-np.square(apart).sum(axis=2))

    kept = KeptInverse(0.01)
    for change in ([], [(3, 41), (5, -1)], [(5, 42)], [(7, 43), (8, -1), (3, -1)]):
        for place, row in change:
            held[place] = row
        held = np.append(held, 44 + len(change))
        found, there = kept.follow(held, kernel), np.flatnonzero(held >= 0)
        fresh = np.linalg.inv(kernel(there, there) + 0.01 * np.eye(len(there)))
        assert found[np.ix_(there, there)] == pytest.approx(fresh, abs=1e-7)
        assert not found[held < 0].any()
