"""The chance that a candidate works at all, from its size."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from paretune.search.surrogates.smallest_useful import chance_to_work

SIZES = np.linspace(3.0, 12.0, 200)


@pytest.mark.parametrize("change", [4.5, 6.0, 8.0, 10.5])
def test_the_place_of_the_change_is_found(change):
    known = np.random.default_rng(1).uniform(3.0, 12.0, 60)
    chance = chance_to_work(known, known > change, SIZES)
    assert (chance[change - 0.8 > SIZES] < 0.25).all()
    assert (chance[change + 0.8 < SIZES] > 0.8).all()
    assert abs(SIZES[np.argmin(np.abs(chance - 0.5))] - change) < 0.5


@pytest.mark.parametrize("seed", range(8))
def test_larger_ones_are_never_less_likely_to_work(seed):
    rng = np.random.default_rng(seed)
    known = rng.uniform(3.0, 12.0, rng.integers(1, 40))
    works = rng.random(len(known)) < 1 / (1 + np.exp(-2 * (known - 7)))
    chance = chance_to_work(known, works, SIZES)
    assert ((chance > 0) & (chance < 1)).all()
    assert (np.diff(chance) >= -1e-9).all()


def test_one_failure_of_a_small_one_says_nothing_sure_about_large_ones():
    chance = chance_to_work(np.array([4.0]), np.array([False]), SIZES)
    assert chance[0] < chance[-1]
    assert chance[-1] > 0.7


def test_where_all_works_nothing_is_held_back():
    known = np.linspace(3.0, 12.0, 20)
    assert (chance_to_work(known, np.ones(20, dtype=bool), SIZES)[10:] > 0.8).all()


def test_more_evidence_makes_a_sharper_change():
    def width(count: int) -> float:
        known = np.linspace(3.0, 12.0, count)
        chance = chance_to_work(known, known > 7.5, SIZES)
        return float(((chance > 0.3) & (chance < 0.7)).sum())

    assert width(200) < width(12)


@pytest.mark.parametrize("known", [[], [5.0], [5.0, 5.0]])
def test_alike_sizes_tell_nothing(known):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alike = chance_to_work(np.array(known), np.zeros(len(known), dtype=bool), np.full(4, 5.0))
        none = chance_to_work(np.empty(0), np.empty(0, dtype=bool), SIZES)
    assert (alike == 1.0).all()
    assert (none == 1.0).all()
