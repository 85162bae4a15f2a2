"""Dominance under error, fronts and hypervolume, checked against brute force."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from paretune.profiles.quantity import Quantity
from paretune.search.ranking.pareto import dominates, front, hypervolume, hypervolume_history, tied


def exact(*values: float) -> tuple[Quantity, ...]:
    return tuple(Quantity(value=v) for v in values)


def within(*triples: tuple[float, float, float]) -> tuple[Quantity, ...]:
    return tuple(Quantity(low=low, value=value, high=high) for low, value, high in triples)


HIGH_LOW = (True, False)  # accuracy, latency


def test_better_on_both_dominates() -> None:
    assert dominates(exact(0.9, 1.0), exact(0.8, 2.0), HIGH_LOW)
    assert not dominates(exact(0.8, 2.0), exact(0.9, 1.0), HIGH_LOW)


def test_equal_points_are_ties_and_do_not_dominate() -> None:
    assert tied(exact(0.9, 1.0), exact(0.9, 1.0))
    assert not dominates(exact(0.9, 1.0), exact(0.9, 1.0), HIGH_LOW)


def test_overlap_on_every_objective_is_a_tie() -> None:
    a = within((0.97, 0.98, 0.99), (0.9, 1.0, 1.1))
    b = within((0.96, 0.975, 0.985), (1.05, 1.15, 1.2))
    assert tied(a, b)
    assert not dominates(a, b, HIGH_LOW)
    assert not dominates(b, a, HIGH_LOW)


def test_better_beyond_error_on_one_and_as_good_on_the_other_dominates() -> None:
    faster = within((0.96, 0.98, 0.985), (0.9, 1.0, 1.1))
    slower = within((0.97, 0.98, 0.99), (2.0, 2.1, 2.2))
    assert dominates(faster, slower, HIGH_LOW)
    assert front([slower, faster], HIGH_LOW) == [1]


def test_a_chain_of_small_losses_does_not_empty_the_front() -> None:
    points = [within((v - 0.02, v, v + 0.02), (x, x, x)) for v, x in ((0.9, 1), (0.92, 2), (0.94, 3))]
    assert tied(points[0][:1], points[1][:1])
    assert front(points, HIGH_LOW) == [0, 1, 2]


def test_worse_beyond_error_on_one_objective_is_no_domination() -> None:
    a = within((0.90, 0.91, 0.92), (0.9, 1.0, 1.1))
    b = within((0.97, 0.98, 0.99), (2.0, 2.1, 2.2))
    assert front([a, b], HIGH_LOW) == [0, 1]


def test_touching_intervals_overlap() -> None:
    assert tied(within((1, 2, 3)), within((3, 4, 5)))


@pytest.mark.parametrize("higher", list(itertools.product([True, False], repeat=3)))
def test_front_of_exact_points_equals_brute_force(higher: tuple[bool, ...]) -> None:
    rng = random.Random(7)
    points = [exact(*(rng.randint(0, 6) for _ in higher)) for _ in range(80)]
    wanted = [i for i, p in enumerate(points) if not any(dominates(q, p, higher) for q in points)]
    assert front(points, higher) == wanted
    assert 0 < len(wanted) < 80


def test_front_with_intervals_holds_what_nothing_dominates() -> None:
    rng = random.Random(3)
    points = []
    for _ in range(60):
        values = [rng.uniform(0, 10) for _ in range(4)]
        points.append(within(*((v - rng.uniform(0, 1), v, v + rng.uniform(0, 1)) for v in values)))
    higher = (True, False, False, True)
    undominated = [i for i, p in enumerate(points) if not any(dominates(q, p, higher) for q in points)]
    assert front(points, higher) == undominated
    assert 0 < len(undominated) < 60


def test_front_of_nothing_is_empty() -> None:
    assert front([], HIGH_LOW) == []


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [
        (0.0, 2.0, (0.0, 2.0)),
        (None, None, (1.0, 1.0)),
        (float("nan"), float("inf"), (1.0, 1.0)),
        (2.0, 0.5, (1.0, 1.0)),
    ],
)
def test_the_ends_of_a_quantity_are_finite_and_hold_its_value(
    low: float | None, high: float | None, ends: tuple[float, float]
) -> None:
    assert Quantity(value=1.0, low=low, high=high).ends == ends


def boxes_by_inclusion_exclusion(points: list[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    """Volume of a union of boxes (all objectives minimised), by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in itertools.combinations(points, size):
            corner = np.max(np.array(chosen), axis=0)
            total += (-1) ** (size + 1) * float(np.prod(np.clip(np.array(reference) - corner, 0, None)))
    return total


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_hypervolume_equals_inclusion_exclusion(objectives: int, seed: int) -> None:
    rng = random.Random(seed)
    points = [tuple(rng.uniform(0, 1.2) for _ in range(objectives)) for _ in range(9)]
    reference = (1.0,) * objectives
    wanted = boxes_by_inclusion_exclusion(points, reference)
    assert hypervolume(points, reference, [False] * objectives) == pytest.approx(wanted)
    assert wanted > 0


def test_hypervolume_in_mixed_directions_is_that_of_the_mirrored_points() -> None:
    rng = random.Random(1)
    points = [(rng.random(), rng.random(), rng.random()) for _ in range(12)]
    mirrored = [(1 - a, b, 1 - c) for a, b, c in points]
    assert hypervolume(points, (0, 1, 0), (True, False, True)) == pytest.approx(
        hypervolume(mirrored, (1, 1, 1), (False, False, False))
    )


def test_hypervolume_counts_duplicates_and_dominated_points_once() -> None:
    assert hypervolume([(0, 0), (0, 0), (0.5, 0.5)], (1, 1), (False, False)) == pytest.approx(1.0)


def test_points_outside_the_reference_add_nothing() -> None:
    assert hypervolume([(2, 0), (1, 1)], (1, 1), (False, False)) == 0.0
    assert hypervolume([], (1, 1), (False, False)) == 0.0


def test_hypervolume_of_sixty_points_in_four_objectives_agrees_with_sampling() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((60, 4))
    samples = rng.random((40_000, 4))
    covered = (samples[:, None, :] >= points[None]).all(axis=-1).any(axis=1).mean()
    assert hypervolume(points.tolist(), (1,) * 4, (False,) * 4) == pytest.approx(covered, abs=0.012)


def test_hypervolume_refuses_a_wrong_number_of_objectives() -> None:
    with pytest.raises(ValueError, match="2 objectives"):
        hypervolume([(1, 2, 3)], (1, 1), (False, False))


def test_hypervolume_refuses_nan() -> None:
    with pytest.raises(ValueError, match="finite"):
        hypervolume([(float("nan"), 0)], (1, 1), (False, False))


def test_history_adds_up_costs_and_never_falls() -> None:
    points = [None, (0.5, 0.5), (0.9, 0.9), None, (0.1, 0.6)]
    history = hypervolume_history(points, [1, 2, 0, 4, 8], (1, 1), (False, False))
    assert [spent for spent, _ in history] == [1, 3, 3, 7, 15]
    volumes = [volume for _, volume in history]
    assert volumes == pytest.approx([0, 0.25, 0.25, 0.25, 0.41])
