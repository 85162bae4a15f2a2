"""Where a training ends that stands at a milestone: humble before much is known, right and sure later."""

import math
import random

import pytest
from paretune.search.surrogates.curve_ends import CurveEnds, Distances

EPOCHS = 8
SCALE = Distances(top=1.0, reach=0.1)


def curve(end, rng, spread=0.0):
    """Half of what lacks to the end is left with each milestone."""
    ways = [(2, 0.08), (4, 0.04), (6, 0.02), (8, 0.0)]
    return [(done, end - lacks * (1 + spread * rng.gauss(0, 1))) for done, lacks in ways]


def known(count, spread=0.1):
    ends, rng = CurveEnds(), random.Random(count)
    for number in range(count):
        points = curve(rng.uniform(0.85, 0.95), rng, spread)
        ends.learn("distill", f"t{number}", points, EPOCHS, ended=True)
    return ends


def end_of(ends, milestones, end=0.9):
    points = curve(end, random.Random(0))[:milestones]
    ends.learn("distill", "new", points, EPOCHS)
    return ends.end("distill", "new", SCALE)


def test_nothing_is_said_of_a_training_that_was_not_seen():
    assert CurveEnds().end("distill", "new", SCALE) is None
    assert known(3).end("prune", "t0", SCALE) is None
    ends = CurveEnds()
    ends.learn("distill", "new", [(2, math.nan)], EPOCHS)
    assert ends.end("distill", "new", SCALE) is None


@pytest.mark.parametrize("count", [0, 1, 2])
def test_with_few_curves_the_end_is_open_and_the_further_the_less(count):
    found = [end_of(known(count), milestones) for milestones in (1, 2, 3)]
    deviations = [end.deviation for end in found]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[0] > 0.3 / (1 + count)
    for end in found:
        value, low, high = end.goodness(SCALE)
        assert low < 0.9 < high
        assert low < value < high < 1.0


@pytest.mark.parametrize("true", [0.86, 0.9, 0.94])
def test_what_many_trainings_did_is_expected_of_the_next(true):
    few, many = end_of(known(2, 0.02), 1, true), end_of(known(30, 0.02), 1, true)
    assert many.deviation < few.deviation / 1.5
    assert many.goodness(SCALE)[0] == pytest.approx(true, abs=0.015)


def test_intervals_hold_what_they_say():
    ends, rng = known(12, spread=0.3), random.Random(5)
    held = 0
    for _ in range(100):
        points = curve(rng.uniform(0.85, 0.95), rng, 0.3)
        ends.learn("distill", "new", points[:1], EPOCHS)
        _, low, high = ends.end("distill", "new", SCALE).goodness(SCALE)
        held += low <= points[-1][1] <= high
    assert held >= 90


def test_unfinished_curves_tell_of_the_way_that_they_went():
    ends, rng = known(1), random.Random(1)
    before = end_of(ends, 1).deviation
    for number in range(10):
        ends.learn("distill", f"paused {number}", curve(rng.uniform(0.85, 0.95), rng)[:3], EPOCHS)
    assert ends.finished("distill") == 1
    assert end_of(ends, 1).deviation < before


def test_a_training_that_ended_early_stays_as_it_was():
    ends = known(0)
    ends.learn("distill", "patient", [(2, 0.8), (4, 0.86), (5, 0.87)], EPOCHS, ended=True)
    ends.learn("distill", "at once", [(4, 0.9)], 4, ended=True)
    assert ends.finished("distill") == 2
    assert ends.end("distill", "patient", SCALE).goodness(SCALE)[0] == pytest.approx(0.87)
