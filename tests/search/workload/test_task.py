"""What labels, metric and outputs say about the task: each reading, and where there is a question."""

from __future__ import annotations

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.search.workload.metric import Metric
from paretune.search.workload.metrics import ACCURACY
from paretune.search.workload.task import Seen, read_task, task_or_unknown

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 4, 300)
FLAGS = RNG.integers(0, 2, (300, 5))
MINE = Metric(name="mine", function=lambda outputs, labels: 0.5)
ERROR = Metric(name="my_error", function=lambda outputs, labels: 0.5, higher_is_better=False)


def seen(outputs, labels):
    return Seen(outputs=np.asarray(outputs), labels=labels)


@pytest.mark.parametrize(
    ("labels", "shape", "task", "axis"),
    [
        (np.array([0, 1, 2]), (4,), "classification", -1),
        (np.array([0, 1, 2], np.uint8), (4,), "classification", -1),
        (np.array([[0, 1], [2, -1], [-100, 0]]), (2, 4), "token-classification", -1),
        (np.array([[0, 1, 3], [2, -1, 0]]), (4, 3), "token-classification", 1),
        (np.zeros((3, 6, 5), np.int64), (4, 6, 5), "segmentation", 1),
        (np.full((3, 6, 5), -1), (6, 5, 4), "segmentation", -1),
        (np.zeros((3, 4, 4), np.int64), (4, 4, 4), "segmentation", 1),
        (np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2), (2,), "regression", -1),
        (np.array([0.5, 1.0, 2.0]), (1,), "regression", -1),
        (np.array([3, 7, 12]), (1,), "regression", -1),
        (np.array([[0, 1], [1, 1], [0, 0]]), (2,), "multi-label", -1),
        (np.array([[0, 1], [1, 1], [0, 0]], np.float32), (2,), "multi-label", -1),
        (np.array([[True, False]]), (2,), "multi-label", -1),
        (np.array([0.0, 1.0, 1.0]), (1,), "multi-label", -1),
    ],
)
def test_types_shapes_and_values_tell(labels, shape, task, axis):
    found = read_task(labels, shape, MINE)
    assert (found.name, found.class_axis) == (task, axis)
    assert found.because
    assert read_task(labels, shape, MINE, declared=task).name == task


@pytest.mark.parametrize(
    ("labels", "shape"),
    [
        (np.array([0, 4]), (4,)),
        (np.array([0, -1]), (4,)),
        (np.zeros((2, 6, 5), np.int64), (6, 9, 9)),
        (np.array([[0.5, 2.0]]), (3,)),
        (np.array(["cat", "dog"]), (2,)),
    ],
)
def test_what_has_no_reading_is_asked_for_and_without_training_left_open(labels, shape):
    with pytest.raises(UserError, match=r"(?s)cannot be trained on these labels.*found: labels .*task="):
        read_task(labels, shape, MINE)
    assert task_or_unknown(labels, shape, MINE, None, None).name == "unknown"


def test_what_is_declared_must_exist_and_fit():
    with pytest.raises(UserError, match="'hinge'"):
        read_task(CLASSES, (4,), MINE, declared="hinge")
    with pytest.raises(UserError, match="by the task 'regression'"):
        read_task(CLASSES, (4,), MINE, declared="regression")
    assert read_task(FLAGS, (5,), MINE, declared="regression").name == "regression"
    assert read_task(CLASSES, (384,), ACCURACY, declared="embedding").name == "embedding"


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.uint8])
def test_flags_are_labels_whatever_their_type_unless_the_metric_is_of_numbers(kind):
    labels = FLAGS.astype(kind)
    assert read_task(labels, (5,), MINE).name == "multi-label"
    for name in ("rmse", "mae", "psnr"):
        metric = Metric(name=name, function=MINE.function, higher_is_better=name == "psnr")
        assert read_task(labels, (5,), metric).name == "regression"


def test_where_lower_is_better_the_trained_teachers_outputs_tell():
    early = read_task(FLAGS, (5,), ERROR)
    assert not early.settled
    around = FLAGS + RNG.normal(scale=0.1, size=FLAGS.shape)
    assert read_task(FLAGS, (5,), ERROR, seen=seen(around, FLAGS)).name == "regression"
    logits = read_task(FLAGS, (5,), ERROR, seen=seen(8 * FLAGS - 4.0, FLAGS))
    assert (logits.name, logits.probabilities) == ("multi-label", False)
    shares = read_task(FLAGS, (5,), ERROR, seen=seen(0.2 + 0.6 * FLAGS, FLAGS))
    assert (shares.name, shares.probabilities) == ("multi-label", True)


def test_class_numbers_with_many_columns_may_go_with_an_embedding():
    right = np.eye(384)[CLASSES]
    assert not read_task(CLASSES, (384,), MINE).settled
    assert read_task(CLASSES, (384,), MINE, seen=seen(right, CLASSES)).name == "classification"
    vectors = RNG.normal(size=(300, 384))
    assert read_task(CLASSES, (384,), MINE, seen=seen(vectors, CLASSES)).name == "embedding"
    assert read_task(CLASSES, (384,), ACCURACY, seen=seen(vectors, CLASSES)).name == "classification"
    assert read_task(CLASSES, (5,), MINE).settled


def test_outputs_that_are_probabilities_already_are_noticed():
    logits = RNG.normal(size=(300, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert read_task(CLASSES, (4,), MINE, seen=seen(shares, CLASSES)).probabilities
    assert not read_task(CLASSES, (4,), MINE, seen=seen(logits, CLASSES)).probabilities
    pixels = np.moveaxis(shares.reshape(3, 10, 10, 4), -1, 1)
    labels = CLASSES.reshape(3, 10, 10)
    found = read_task(labels, (4, 10, 10), MINE, seen=seen(pixels, labels))
    assert (found.name, found.probabilities) == ("segmentation", True)
