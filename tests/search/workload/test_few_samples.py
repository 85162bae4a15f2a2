"""Which few samples stand for a split: always the same, of each class, and not too large."""

from __future__ import annotations

import numpy as np
import pytest
from paretune.search.workload.few_samples import MOST, USUAL_BYTES, few_samples
from paretune.search.workload.workload import Array, Split


def split(labels: Array, width: int = 4) -> Split:
    return Split(inputs={"x": np.zeros((len(labels), width), np.float32)}, labels=labels)


def test_they_are_the_same_each_time_and_in_order() -> None:
    of = split(np.zeros(5000, np.float32))
    rows = few_samples(of, 12)
    assert rows.tolist() == sorted(set(few_samples(of, 12).tolist()))
    assert len(rows) == MOST


def test_a_rare_class_is_among_them() -> None:
    for rare in (np.int64(7), np.int64(-1)):
        labels = np.zeros(5000, np.int64)
        labels[4321] = rare
        assert 4321 in few_samples(split(labels), 12)
    assert 4321 in few_samples(split(np.where(np.arange(5000) == 4321, "cat", "dog")), 12)


def test_classes_of_pixels_and_of_several_labels_are_covered() -> None:
    pixels = np.zeros((600, 4, 4), np.int64)
    pixels[500, 2, 2] = 9
    several = np.zeros((600, 5), np.float32)
    several[511, 3] = 1
    assert 500 in few_samples(split(pixels), 12)
    assert 511 in few_samples(split(several), 12)


def test_more_classes_than_samples_leave_some_out() -> None:
    assert len(few_samples(split(np.arange(5000)), 12)) == MOST


@pytest.mark.parametrize("each", [2**20, 2**23, 2**25])
def test_large_samples_are_fewer(each: int) -> None:
    rows = few_samples(split(np.zeros(400, np.int64)), each)
    assert 1 <= len(rows) <= max(USUAL_BYTES // each, 8)


def test_a_single_one_that_is_too_large_stays() -> None:
    assert len(few_samples(split(np.zeros(4, np.int64)), 2**27)) == 0


def test_a_small_split_is_taken_whole() -> None:
    assert few_samples(split(np.zeros(3, np.int64)), 12).tolist() == [0, 1, 2]
