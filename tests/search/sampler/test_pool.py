"""The pool: every candidate once, hardware classes, trained models, spaces too large to list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.sampler import pool as pools
from paretune.search.sampler.pool import (
    Pool,
    choice_counts,
    deploy_axes,
    model_axes,
    one_hot,
    positions,
    spread_first,
)
from paretune.search.space.space import BackendChoices, Space

ORT = BackendChoices(
    name="ort",
    precisions=(Precision.FP32, Precision.INT8, Precision.INT8_DYNAMIC),
    calibration_methods=("minmax", "entropy"),
    sparsities=("dense", "channel:0.5", "channel:0.25"),
)


def space(**changes) -> Space:
    values = {
        "student_axes": {"width": (0.25, 0.5, 1.0), "depth": (1, 2)},
        "temperatures": (2.0, 4.0),
        "weights": (0.5,),
        "calibration_samples": (32, 64),
        "per_channel": (True, False),
        "recipe": Recipe(epochs=3, finetune_epochs=2),
    }
    return Space(backends=(ORT,), **{**values, **changes})


def test_every_candidate_of_the_space_is_there_once():
    whole = space()
    pool = Pool(whole, seed=0)
    assert len(pool) == whole.size == len(set(pool.candidates))
    assert set(pool.candidates) == set(whole.candidates())
    assert pool.own.all()
    assert all(pool.candidates[row] == candidate for candidate, row in pool.row.items())


def test_hardware_classes_leave_out_recipe_and_calibration_but_not_per_channel():
    pool = Pool(space(), seed=0)
    for row, candidate in enumerate(pool.candidates):
        assert pool.class_candidates[pool.classes[row]] == candidate.hardware_class()
    assert len(set(pool.class_candidates)) == len(pool.class_candidates)
    quantized = next(c for c in pool.candidates if c.calibration_method and c.recipe and c.per_channel)
    assert quantized.recipe is not None
    group = pool.classes[pool.row[quantized]]
    same = (
        replace(quantized, calibration_method="entropy"),
        replace(quantized, calibration_samples=64),
        replace(quantized, recipe=replace(quantized.recipe, temperature=4.0)),
    )
    assert [pool.classes[pool.row[c]] for c in same] == [group] * 3
    others = (
        replace(quantized, per_channel=False),
        replace(quantized, student=(("depth", 2), ("width", 1.0))),
    )
    assert all(pool.classes[pool.row[c]] != group for c in others)


def test_models_are_student_sparsity_and_recipe():
    pool = Pool(space(), seed=0)
    for row, candidate in enumerate(pool.candidates):
        same = pool.model_candidates[pool.models[row]]
        assert (same.student, same.sparsity, same.recipe) == (
            candidate.student,
            candidate.sparsity,
            candidate.recipe,
        )
    # Six students and the teacher, three sparsities, two recipes, but the dense teacher is not trained.
    assert len(pool.model_candidates) == 7 * 3 * 2 - 1
    assert [pool.models[row] for row in pool.first_of_model] == list(range(len(pool.model_candidates)))
    assert pool.model_candidates == [pool.candidates[row] for row in pool.first_of_model]


def test_a_space_too_large_is_drawn_from(monkeypatch):
    monkeypatch.setattr(pools, "LARGEST", 50)
    whole = space()
    assert whole.size > 50
    pool = Pool(whole, seed=3)
    assert len(pool) == len(set(pool.candidates)) == 50
    assert all(candidate in whole for candidate in pool.candidates)
    assert set(whole.baselines()) <= set(pool.candidates)
    assert Pool(whole, seed=3).candidates == pool.candidates
    assert Pool(whole, seed=4).candidates != pool.candidates


def test_candidates_from_elsewhere_are_not_of_the_space():
    whole = space()
    first = next(whole.candidates())
    stranger = Candidate(backend="tflite", precision=Precision.INT8, calibration_method="minmax")
    pool = Pool(whole, seed=0, extra=[first, stranger])
    assert len(pool) == whole.size + 1
    assert pool.own.sum() == whole.size
    assert pool.own[pool.row[first]]
    assert not pool.own[pool.row[stranger]]


# -- candidates as numbers -----------------------------------------------------------------------------


def test_one_hot_columns_say_which_value_each_axis_has():
    candidates = list(space().candidates())
    rows = [model_axes(c) for c in candidates]
    features, axes = one_hot(rows)
    names = {name for row in rows for name in row}
    # The distillation weight varies too: what is not trained has none.
    assert axes == len(names) == 6
    assert (features.sum(axis=1) == axes).all()
    shared = features @ features.T
    for a, b in [(0, 1), (3, 40), (10, 200), (7, 100)]:
        assert shared[a, b] == sum(rows[a].get(n) == rows[b].get(n) for n in names)


def test_an_axis_with_one_value_is_no_feature():
    features, axes = one_hot([{"a": 1, "b": 2}, {"a": 1, "b": 3}])
    assert (features.tolist(), axes) == ([[1, 0], [0, 1]], 1)
    nothing, none = one_hot([{"a": 1}] * 3)
    assert (nothing.shape, none) == ((3, 0), 0)


def test_deploy_axes_tell_candidates_of_one_model_apart():
    pool = Pool(space(), seed=0)
    told = {(pool.models[row], *deploy_axes(c).values()) for row, c in enumerate(pool.candidates)}
    assert len(told) == len(pool)


def test_positions_are_in_the_order_of_the_values_with_the_teacher_beyond():
    candidates = list(space().candidates())
    found = positions(candidates)
    assert found.shape == (len(candidates), 3)
    for candidate, (depth, width, removed) in zip(candidates, found, strict=True):
        axes = dict(candidate.student)
        assert width == {0.25: 0.0, 0.5: 0.5, 1.0: 1.0, None: 1.3}[axes.get("width")]
        assert depth == {1: 0.0, 2: 1.0, None: 1.3}[axes.get("depth")]
        assert removed == {"dense": 0.0, "channel:0.25": 0.5, "channel:0.5": 1.0}[candidate.sparsity]


def test_axes_of_words_have_no_position_and_are_counted_where_they_share_choices():
    axes = {"first": ("conv", "skip"), "second": ("conv", "skip"), "third": ("conv", "skip"), "width": (1, 2)}
    candidates = list(space(student_axes=axes).candidates())
    assert positions(candidates).shape[1] == 2  # width, share removed
    counts = choice_counts(candidates)
    assert counts.shape == (len(candidates), 2)
    for candidate, (convolutions, skips) in zip(candidates, counts, strict=True):
        values = [v for n, v in candidate.student if n != "width"]
        assert convolutions == pytest.approx(values.count("conv") / 1.2)
        assert skips == pytest.approx(values.count("skip") / 1.2)
    assert choice_counts(list(space().candidates())).shape[1] == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_first_rows_show_every_value(seed):
    pool = Pool(space(), seed=0)
    features, _ = one_hot([{**model_axes(c), **deploy_axes(c)} for c in pool.class_candidates])
    varied = features.shape[1]
    chosen = spread_first(features, varied, seed)
    assert len(set(chosen)) == len(chosen) == varied
    assert (features[chosen].sum(axis=0) > 0).all()


def test_never_more_rows_than_there_are():
    features = np.eye(3)
    assert sorted(spread_first(features, 10, seed=0)) == [0, 1, 2]
    assert spread_first(features, 0, seed=0) == []
