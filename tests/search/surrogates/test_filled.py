"""What was not told is predicted from axes and from what others told."""

from __future__ import annotations

import numpy as np
from paretune.search.surrogates.filled import filled
from paretune.search.surrogates.kernel import Inputs

RNG = np.random.default_rng(0)


def axes(count: int = 60) -> tuple[Inputs, np.ndarray]:
    places = np.column_stack([RNG.integers(0, 4, count), RNG.integers(0, 3, count)])
    hot = np.concatenate([np.eye(4)[places[:, 0]], np.eye(3)[places[:, 1]]], axis=1)
    return Inputs(model=hot, model_axes=2, deploy=np.zeros((count, 0)), deploy_axes=0), places


def test_what_follows_from_the_axes_is_predicted_and_what_was_told_stays():
    inputs, places = axes()
    truth = np.column_stack([places[:, 0] - 0.5 * places[:, 1], places[:, 1] ** 2]).astype(float)
    some = truth.copy()
    some[30:] = np.nan
    found = filled(some, inputs, seed=0)
    assert np.array_equal(found[:30], truth[:30])
    assert np.abs(found[30:] - truth[30:]).max() < 0.5


def test_little_is_no_ground_for_predictions():
    inputs, _ = axes(5)
    told = np.full((5, 2), np.nan)
    told[3] = 1.0
    found = filled(told, inputs, seed=0)
    assert found[3].tolist() == [1.0, 1.0]
    assert not found[[0, 1, 2, 4]].any()
