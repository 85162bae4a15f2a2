"""Boxes of the space that nothing dominates, and the expected gain against numeric expectations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from paretune.search.ranking.pareto import hypervolume
from paretune.search.surrogates.hypervolume_gain import Quality, beyond, expected_gain, undominated


def random_costs(rng: np.random.Generator, points: int, axes: int) -> np.ndarray:
    return rng.integers(0, 7, size=(points, axes)) / 6 if points % 2 else rng.random((points, axes))


def volume(points, corner) -> float:
    return hypervolume([*points], corner, [False] * len(corner)) if len(points) else 0.0


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
@pytest.mark.parametrize("points", [0, 1, 2, 5, 8, 13])
def test_boxes_fill_what_no_point_dominates(axes, points):
    rng = np.random.default_rng(100 * axes + points)
    for _ in range(4):
        costs, corner = random_costs(rng, points, axes), np.full(axes, 0.9)
        boxes = undominated(costs, corner)
        assert (boxes.lower < boxes.upper).all()
        cube = np.prod(boxes.upper - np.maximum(boxes.lower, 0.0), axis=1).sum()
        assert cube == pytest.approx(0.9**axes - volume(costs, corner), abs=1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_each_undominated_place_lies_in_one_box_and_each_dominated_in_none(axes):
    rng = np.random.default_rng(axes)
    costs, corner = rng.random((9, axes)), np.full(axes, 0.8)
    boxes = undominated(costs, corner)
    places = rng.random((4000, axes)) * 1.2 - 0.2
    inside = (boxes.lower < places[:, None]) & (places[:, None] < boxes.upper)
    held = inside.all(axis=2).sum(axis=1)
    dominated = (costs < places[:, None]).all(axis=2).any(axis=1)
    outside = (places > corner).any(axis=1)
    assert dominated.any()
    assert (held == np.where(dominated | outside, 0, 1)).all()


def test_points_at_the_corner_or_beyond_it_and_equal_points_cut_nothing():
    corner = np.array([1.0, 1.0])
    far = np.array([[1.0, 0.2], [0.2, 1.0], [2.0, 2.0]])
    whole = undominated(np.empty((0, 2)), corner)
    assert (undominated(far, corner).upper == whole.upper).all()
    once, thrice = (undominated(np.array([[0.5, 0.5]] * n), corner) for n in (1, 3))
    assert sorted(once.upper.tolist()) == sorted(thrice.upper.tolist())


def test_points_that_come_later_cut_off_what_they_dominate():
    rng = np.random.default_rng(0)
    costs, corner = rng.random((9, 3)), np.full(3, 0.8)
    at_once, later = undominated(costs, corner), beyond(undominated(costs[:5], corner), costs[5:])
    volumes = [np.prod(b.upper - np.maximum(b.lower, 0.0), axis=1).sum() for b in (at_once, later)]
    assert volumes[0] == pytest.approx(volumes[1], abs=1e-12)


# -- the expectation -----------------------------------------------------------------------------------

PANELS = 40
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(50)
NODES = ((_NODES[:, None] + 1 + 2 * np.arange(PANELS)) / PANELS - 1).ravel()
WEIGHTS = np.repeat(_WEIGHTS / PANELS, PANELS)
REACH = 9.0


def numeric(costs, corner, hardware, quality: Quality, row: int, objective: bool) -> float:
    """The expectation over the logarithm of the distance to the top, by quadrature."""
    mean, deviation = quality.mean[row], quality.deviation[row]
    # What misses the limit is worth nothing, so the integral ends there.
    end = np.log(max(quality.top - quality.least, 1e-300)) if np.isfinite(quality.least) else np.inf
    half = (np.clip((end - mean) / deviation, -REACH, REACH) + REACH) / 2
    z = half * (NODES + 1) - REACH
    density = half * WEIGHTS * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    reached = quality.top - np.exp(mean + deviation * z)
    ceiling = np.broadcast_to(quality.ceiling, quality.mean.shape)[row]
    chance = np.broadcast_to(quality.chance, quality.mean.shape)[row]
    before = volume(costs, corner)
    if not objective:
        return float(chance * (volume([*costs, hardware[row]], corner) - before) * density.sum())
    kinds = np.minimum(reached, ceiling)
    # Between two levels of the known points the volume grows linearly: only their ends need the real one.
    worst = min(-corner[0], kinds.min())
    ends = np.unique(np.clip([worst, *(-c[0] for c in costs), -corner[0], quality.top], worst, quality.top))
    grown = [volume([*costs, [-end, *hardware[row]]], corner) - before for end in ends]
    gained = np.interp(kinds, ends, grown)
    return float(chance * (density * gained).sum())


def problem(axes: int, seed: int, points: int = 6):
    """Known points whose first axis is minus a goodness, and candidates with beliefs."""
    rng = np.random.default_rng(seed)
    costs = rng.random((points, axes))
    costs[:, 0] = -0.5 - 0.4 * costs[:, 0]
    corner = np.concatenate([[-0.5], np.full(axes - 1, 0.95)])
    hardware = rng.random((12, axes - 1))
    mean, deviation = np.log(0.02 + 0.4 * rng.random(12)), 0.1 + rng.random(12)
    return costs, corner, hardware, mean, deviation


@pytest.mark.parametrize("axes", [2, 3, 4])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ceiling": 0.85},
        {"ceiling": np.linspace(0.4, 1.1, 12)},
        {"least": 0.7},
        {"least": 0.4},
        {"chance": np.linspace(0.0, 1.0, 12)},
        {"least": 0.72, "ceiling": 0.93, "chance": 0.6},
    ],
    ids=["plain", "ceiling", "ceilings", "limit", "loose limit", "chance", "all"],
)
def test_expected_gain_is_the_expectation_of_what_the_hypervolume_grows_by(axes, more):
    costs, corner, hardware, mean, deviation = problem(axes, seed=axes)
    quality = Quality(mean=mean, deviation=deviation, top=0.97, **more)
    found = expected_gain(undominated(costs, corner), hardware, quality)
    wanted = [numeric(costs, corner, hardware, quality, row, objective=True) for row in range(12)]
    assert max(wanted) > 0
    assert found == pytest.approx(wanted, rel=1e-3, abs=2e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("more", [{}, {"least": 0.8}, {"least": 0.8, "chance": 0.5}, {"least": 2.0}])
def test_a_quality_that_is_no_objective_only_decides_whether_limits_are_met(axes, more):
    rng = np.random.default_rng(axes)
    costs, corner, hardware = 0.3 + rng.random((4, axes)), np.full(axes, 0.9), rng.random((12, axes))
    quality = Quality(mean=np.log(0.05 + 0.3 * rng.random(12)), deviation=np.full(12, 0.4), top=1.0, **more)
    found = expected_gain(undominated(costs, corner), hardware, quality, objective=False)
    wanted = [numeric(costs, corner, hardware, quality, row, objective=False) for row in range(12)]
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    assert (max(wanted) > 0) == (more.get("least") != 2.0)


@pytest.mark.parametrize("objective", [True, False])
def test_what_cannot_reach_a_limit_is_worth_nothing(objective):
    axes = 2 if objective else 1
    boxes = undominated(np.empty((0, axes)), np.array([-0.5, 1.0])[-axes:])
    quality = Quality(
        mean=np.log([0.1, 0.1]), deviation=np.ones(2), top=1.0, least=0.9, ceiling=np.array([0.8, 0.95])
    )
    found = expected_gain(boxes, np.full((2, 1), -1.0), quality, objective=objective)
    assert found[0] == 0.0
    assert found[1] > 0.0


def test_nothing_is_gained_where_a_known_point_is_faster_and_as_good_as_can_be():
    costs, corner = np.array([[-0.9, 0.2]]), np.array([-0.5, 1.0])
    quality = Quality(mean=np.log([0.2, 0.2]), deviation=np.ones(2), top=1.0, ceiling=0.9)
    found = expected_gain(undominated(costs, corner), np.array([[0.3], [0.1]]), quality)
    assert found[0] == pytest.approx(0.0, abs=1e-15)
    assert found[1] > 0


@pytest.mark.parametrize("deviation", [1e-9, 1e-3, 5.0, 60.0, 1e4])
@pytest.mark.parametrize("mean", [-700.0, -30.0, 0.0, 30.0, 700.0])
@pytest.mark.parametrize(("ceiling", "least"), [(np.inf, -np.inf), (0.9, 0.6), (1.0, 1.0), (2.0, 3.0)])
def test_extremes_give_numbers(deviation, mean, ceiling, least):
    costs, corner = np.array([[-0.9, 0.2], [-1.5, 0.8]]), np.array([-0.5, 1.0])
    quality = Quality(
        mean=np.full(2, mean), deviation=np.full(2, deviation), top=1.0, ceiling=ceiling, least=least
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        boxes = undominated(costs, corner)
        found = expected_gain(boxes, np.array([[0.1], [0.9]]), quality)
        only_limited = expected_gain(
            undominated(costs[:, 1:], corner[1:]), np.array([[0.1], [0.9]]), quality, objective=False
        )
        levels = [quality.above(level) for level in (-1e9, 0.0, 1.0, 5.0, np.inf)]
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found.max() <= 0.5 * 0.9 + 1e-9
    assert np.isfinite(only_limited).all()
    assert np.isfinite(levels).all()
    assert (np.diff(levels, axis=0) <= 1e-9).all()
