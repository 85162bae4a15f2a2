"""What outputs decide, and how often otherwise."""

import numpy as np
import pytest
from paretune.search.workload.decisions import flipped


def scores(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def labels(*shape):
    return np.zeros(shape, dtype=np.int64)


@pytest.mark.parametrize(
    ("shape", "targets", "axis"),
    [
        ((4, 3), labels(4), 1),
        ((4, 3), None, 1),
        ((4, 5, 2, 2), labels(4, 2, 2), 1),
        ((4, 6, 5), labels(4, 6), 2),
    ],
    ids=["classes", "without targets", "pixels", "tokens"],
)
def test_of_four_samples_one_is_decided_otherwise(shape, targets, axis):
    then = scores(*shape)
    now = then.copy()
    assert flipped(then, now, targets, classes=True) == (0, 4)
    now[1] = np.roll(now[1], 1, axis=axis - 1)
    assert flipped(then, now, targets, classes=True) == (1, 4)


@pytest.mark.parametrize(
    ("then", "targets", "classes"),
    [
        (scores(4, 3), scores(4, 3), True),
        (scores(4, 3), None, False),
        (scores(4, 3), labels(4, 3), True),
        (scores(4, 1), labels(4), True),
        (scores(0, 3), labels(0), True),
    ],
    ids=["numbers", "no classes", "several labels", "one output", "no samples"],
)
def test_where_no_class_is_scored_nothing_is_decided(then, targets, classes):
    assert flipped(then, then, targets, classes=classes) is None


def test_class_numbers_are_decisions_and_another_form_is_none():
    then = np.arange(8).reshape(4, 2)
    assert flipped(then, then[::-1], None, classes=False) == (4, 4)
    assert flipped(then, then[:, :1], None, classes=False) is None
