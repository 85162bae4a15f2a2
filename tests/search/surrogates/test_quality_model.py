"""The model of quality: known rows, far rows, rows left out, features that come later."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from paretune.search.surrogates.kernel import Inputs, Pairs, prior
from paretune.search.surrogates.quality_model import Surrogate
from paretune.search.surrogates.quality_prediction import Prediction, look

MODELS = list(itertools.product(range(4), range(4), range(3)))
FORMATS = range(3)


def predict(model: Surrogate, inputs: Inputs, parts: int | None = None) -> Prediction:
    return look(model, inputs, parts).quality


def one_hot(values: list[tuple[int, ...]], sizes: tuple[int, ...]) -> np.ndarray:
    return np.concatenate(
        [np.eye(size)[[v[axis] for v in values]] for axis, size in enumerate(sizes)], axis=1
    )


def table() -> tuple[Inputs, np.ndarray]:
    """Every model in every number format, and a smooth value with a little of its own for each row."""
    rows = list(itertools.product(MODELS, FORMATS))
    models, formats = [m for m, _ in rows], [(f,) for _, f in rows]
    places = np.array([[a / 3, b / 3, c / 2] for a, b, c in models])
    inputs = Inputs(
        model=one_hot(models, (4, 4, 3)),
        model_axes=3,
        deploy=one_hot(formats, (3,)),
        deploy_axes=1,
        groups=(places,),
    )
    values = places @ [1.0, 0.6, 0.3] + 0.4 * places[:, 0] * places[:, 1]
    values = values - np.array([0.0, 0.02, 0.1])[[f for (f,) in formats]]
    return inputs, values


INPUTS, VALUES = table()
EVERY = np.arange(len(VALUES))


def fitted(
    rows: np.ndarray, values: np.ndarray = VALUES, noise: float = 1.0, spread: float = 0.3
) -> Surrogate:
    model = Surrogate()
    model.fit(INPUTS.take(rows), values[rows], np.full(len(rows), noise), spread)
    return model


def picked(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(VALUES))[:count]


def test_known_values_without_noise_are_given_back():
    rows = picked(6)
    found = predict(fitted(rows, noise=1e-6), INPUTS.take(rows))
    assert found.mean == pytest.approx(VALUES[rows], abs=0.01)
    assert (found.deviation < 0.1 * VALUES.std()).all()


@pytest.mark.parametrize("seed", range(4))
def test_other_rows_are_predicted_from_a_part(seed):
    rows = picked(40, seed)
    others = np.setdiff1d(EVERY, rows)
    found = predict(fitted(rows), INPUTS.take(others))
    error = np.sqrt(((found.mean - VALUES[others]) ** 2).mean())
    assert error < 0.4 * VALUES[others].std()
    covered = np.abs(found.mean - VALUES[others]) < 3 * found.deviation
    assert covered.mean() > 0.9


def test_far_from_what_is_known_it_is_less_sure():
    near_models = np.flatnonzero(INPUTS.groups[0][:, 0] < 0.5)
    known = near_models[::4]
    model = fitted(known)
    near = predict(model, INPUTS.take(np.setdiff1d(near_models, known))).deviation
    far = predict(model, INPUTS.take(np.flatnonzero(INPUTS.groups[0][:, 0] == 1.0))).deviation
    assert far.mean() > 1.3 * near.mean()
    assert predict(model, INPUTS.take(known)).deviation.mean() < near.mean()


def test_more_rows_make_it_surer_and_better():
    others = picked(144, 1)[100:]
    few, many = fitted(picked(10, 1)), fitted(picked(100, 1))

    def judged(model: Surrogate) -> tuple[float, float]:
        found = predict(model, INPUTS.take(others))
        return float(np.abs(found.mean - VALUES[others]).mean()), float(found.deviation.mean())

    assert judged(many)[0] < judged(few)[0]
    assert judged(many)[1] < judged(few)[1]


def test_noisy_values_are_smoothed_and_count_less():
    rows = picked(60)
    noisy = VALUES + np.random.default_rng(5).normal(0, 0.1, len(VALUES))
    found = predict(fitted(rows, noisy), INPUTS.take(rows))
    assert np.abs(found.mean - VALUES[rows]).mean() < np.abs(noisy[rows] - VALUES[rows]).mean()
    wrong = VALUES.copy()
    wrong[rows[0]] += 0.3
    few = rows[:6]

    def pulled(extra: float) -> float:
        model = Surrogate()
        model.fit(INPUTS.take(few), wrong[few], np.array([extra, *np.ones(5)]), 0.3)
        return float(predict(model, INPUTS.take(few[:1])).mean[0] - VALUES[rows[0]])

    assert pulled(200.0) < pulled(1.0)


def test_weights_sum_to_one_and_the_likeliest_settings_come_first():
    found = predict(fitted(picked(30)), INPUTS)
    assert len(found.weights) > 1
    assert found.weights.sum() == pytest.approx(1.0)
    assert (np.diff(found.weights) <= 1e-12).all()
    assert found.means.shape == found.deviations.shape == (len(found.weights), len(INPUTS))
    assert (found.deviations > 0).all()
    alone = predict(fitted(picked(30)), INPUTS, parts=1)
    assert alone.weights.tolist() == [1.0]
    assert (alone.means[0] == found.means[0]).all()


def test_mean_and_deviation_are_those_of_the_mixture():
    found = predict(fitted(picked(12)), INPUTS.take([0, 77]))
    rng = np.random.default_rng(0)
    parts = rng.choice(len(found.weights), size=200_000, p=found.weights)
    drawn = found.means[parts] + found.deviations[parts] * rng.normal(size=(200_000, 1))
    assert drawn.mean(axis=0) == pytest.approx(found.mean, abs=0.02 * found.deviation.max())
    assert drawn.std(axis=0) == pytest.approx(found.deviation, rel=0.02)


@pytest.mark.parametrize("count", [2, 7, 30])
def test_a_row_left_out_is_predicted_as_if_it_had_never_been_there(count):
    rows = picked(count)
    model = fitted(rows)
    found, values = model.left_out()
    assert values == pytest.approx(VALUES[rows])
    for row in range(count):
        others, expected = np.delete(np.arange(count), row), 0.0
        for part in model.parts:
            covariance = part.factor @ part.factor.T
            solved = np.linalg.solve(covariance[np.ix_(others, others)], model._values[others])
            expected += part.weight * float(covariance[row, others] @ solved)
        assert found[row] == pytest.approx(model.centre + model.scale * expected, abs=1e-6)


def test_a_row_left_out_is_predicted_nearly_as_by_a_model_without_it():
    rows = picked(24)
    found, values = fitted(rows).left_out()
    anew = [
        predict(fitted(np.delete(rows, place)), INPUTS.take(rows[place : place + 1])).mean[0]
        for place in range(24)
    ]
    assert np.abs(found - anew).mean() < 0.25 * values.std()


def test_a_feature_that_is_known_later_is_taken_up():
    rows, bare = picked(30), replace(INPUTS, groups=())
    model = Surrogate()
    model.fit(bare.take(rows), VALUES[rows], np.ones(30), 0.3)
    without = np.abs(predict(model, bare).mean - VALUES).mean()
    model.fit(INPUTS.take(rows), VALUES[rows], np.ones(30), 0.3)
    assert np.abs(predict(model, INPUTS).mean - VALUES).mean() < without
    assert predict(model, INPUTS).mean == pytest.approx(predict(fitted(rows), INPUTS).mean, abs=1e-9)


def test_between_two_choices_of_settings_new_values_count_at_once():
    rows = picked(61)
    model = fitted(rows[:60])
    before = predict(model, INPUTS.take(rows[60:]))
    model.fit(INPUTS.take(rows), VALUES[rows], np.full(61, 1.0), 0.3)
    after = predict(model, INPUTS.take(rows[60:]))
    assert after.deviation[0] < before.deviation[0]
    assert abs(after.mean[0] - VALUES[rows[60]]) <= abs(before.mean[0] - VALUES[rows[60]]) + 1e-6


@pytest.mark.parametrize("rows", [[5], [5, 6], [5, 5], list(range(0, 120, 10)), list(range(100))])
@pytest.mark.parametrize("value", [0.0, -3.5, 1e6])
def test_one_row_and_equal_values_give_their_value_and_no_warning(rows, value):
    values = np.full(len(rows), value)
    model = Surrogate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(INPUTS.take(rows), values, np.ones(len(rows)), 0.3)
        found, left = predict(model, INPUTS), model.left_out()[0]
    assert found.mean == pytest.approx(np.full(len(INPUTS), value), abs=1e-6 * max(1.0, abs(value)))
    assert np.isfinite(left).all()
    assert np.isfinite(found.deviation).all()
    assert (found.deviation > 0).all()


def test_no_axis_at_all_is_a_constant():
    inputs = Inputs(model=np.zeros((9, 0)), model_axes=0, deploy=np.zeros((9, 0)), deploy_axes=0)
    model = Surrogate()
    model.fit(inputs, np.arange(9.0), np.ones(9), 0.3)
    found = predict(model, inputs)
    assert np.ptp(found.mean) < 1e-6
    assert 0 < found.mean[0] < 8


def test_neighbours_of_what_did_not_work_have_less_chance_to_work():
    values = VALUES.copy()
    broken = INPUTS.groups[0][:, 0] == 1.0
    values[broken] += 3.0
    sound = picked(90)[~broken[picked(90)]][:50]
    rows = np.concatenate([sound, np.flatnonzero(broken)[[0]]])
    model = fitted(rows, values)
    assert model.outlying[-1]
    chance = look(model, INPUTS).chance
    assert chance[rows[-1]] < chance[~broken].mean() - 0.1
    assert (chance <= 1.0).all()
    assert (chance > 0.0).all()


# -- the kernel ------------------------------------------------------------------------------------------


def shared_models() -> Inputs:
    """The same candidates as `INPUTS`, each model and each number format written once."""
    formats = len(FORMATS)
    return Inputs(
        model=INPUTS.model[::formats],
        model_axes=3,
        deploy=np.eye(3),
        deploy_axes=1,
        groups=(INPUTS.groups[0][::formats],),
        model_of=EVERY // formats,
        deploy_of=EVERY % formats,
    )


def test_candidates_that_share_a_model_are_compared_as_if_each_had_its_own():
    some, settings = picked(30), prior((3,), 4)
    shared = shared_models()
    found = Pairs(shared.take(some), shared).kernel(settings)
    wanted = Pairs(INPUTS.take(some), INPUTS).kernel(settings)
    assert found == pytest.approx(wanted, abs=1e-12)
    assert found.shape == (4, 30, len(EVERY))


def test_the_kernel_of_equal_rows_is_one_and_it_is_a_kernel():
    some = INPUTS.take(picked(40))
    found = Pairs(some, some).kernel(prior((3,), 8))
    assert np.diagonal(found, axis1=1, axis2=2) == pytest.approx(np.ones((8, 40)))
    assert (np.linalg.eigvalsh(found) > -1e-9).all()


def test_settings_that_are_there_already_are_not_taken_twice():
    few = prior((3,), 8)
    assert len(few.and_others(few.take([2, 5]))) == 8
    varied = few.take([0, 1]).varied(3, 0.4, seed=1)
    assert len(few.and_others(varied)) == 14
    assert (varied.varied(1, 0.0, seed=1).draws == varied.draws).all()


def test_in_a_third_of_the_settings_a_group_says_nothing():
    inputs, _ = table()
    noise = np.random.default_rng(0).normal(size=inputs.groups[0].shape)
    other, settings = replace(inputs, groups=(noise,)), prior((3,), 64)
    left_out = settings.group_weights[:, 0] == 0
    assert 0.2 < left_out.mean() < 0.45
    pairs, others = Pairs(inputs, inputs), Pairs(other, other)
    same = (pairs.kernel(settings) == others.kernel(settings)).all(axis=(1, 2))
    np.testing.assert_array_equal(same, left_out)


def test_rows_that_are_believed_move_no_expectation_and_make_it_surer_near_them():
    rows, believed = picked(20), picked(23)[20:]
    model, others = fitted(rows), np.setdiff1d(EVERY, rows)
    whole = model.believing(INPUTS.take(believed))
    before, after = (predict(one, INPUTS.take(others)) for one in (model, whole))
    assert after.mean == pytest.approx(before.mean, abs=1e-9)
    assert (after.deviations <= before.deviations * (1 + 1e-9)).all()
    there = np.isin(others, believed)
    assert (after.deviation[there] < 0.7 * before.deviation[there]).all()
    assert len(whole) == len(model) == 20
    assert predict(model, INPUTS.take(others)).deviation == pytest.approx(before.deviation)
    # As a model that was fitted to the values that are believed: with one setting it is the same.
    for part, extended in zip(model.parts, whole.parts, strict=True):
        assert extended.weight == part.weight
        assert np.allclose(extended.factor[:20, :20], part.factor)
