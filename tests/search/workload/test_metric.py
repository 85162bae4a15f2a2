"""`Metric.score`: one finite number of the stated kind, or an error that names metric and place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from paretune.profiles.errors import StageError
from paretune.search.workload.metric import Metric
from paretune.search.workload.metrics import ACCURACY

OUTPUTS, LABELS = np.eye(3, dtype=np.float32), np.array([0, 1, 0])


def given(value, name="error"):
    return Metric(name=name, function=lambda outputs, labels: value)


@pytest.mark.parametrize(
    "value",
    [0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5), torch.tensor(0.5, requires_grad=True)],
)
def test_whatever_stands_for_one_number_is_one(value):
    found = given(value).score(OUTPUTS, LABELS, place="here")
    assert found == 0.5
    assert type(found) is float


def test_whole_numbers_and_flags_are_numbers():
    assert given(np.int64(3)).score(OUTPUTS, LABELS, place="here") == 3.0
    assert given(True).score(OUTPUTS, LABELS, place="here") == 1.0
    assert given(np.bool_(False)).score(OUTPUTS, LABELS, place="here") == 0.0


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        None,
        "0.5",
        1 + 1j,
        np.array([0.5]),
        np.zeros((2, 2)),
        torch.zeros(2),
        [0.5],
    ],
)
def test_anything_else_is_none_and_the_place_is_named(value):
    with pytest.raises(StageError) as caught:
        given(value).score(OUTPUTS, LABELS, place="artifact 7 on validation")
    assert caught.value.stage == "score"
    assert "artifact 7 on validation" in caught.value.cause
    assert "'error'" in caught.value.cause


@pytest.mark.parametrize("value", [94.2, -0.5])
def test_a_share_lies_between_0_and_1(value):
    with pytest.raises(StageError, match="share"):
        given(value, "accuracy").score(OUTPUTS, LABELS, place="here")
    assert given(value).score(OUTPUTS, LABELS, place="here") == value


def test_rounding_does_not_push_a_share_out():
    assert given(1 + 1e-12, "accuracy").score(OUTPUTS, LABELS, place="here") == 1.0


def test_what_the_function_raises_is_named_with_its_line():
    def broken(outputs, labels):
        raise ValueError("only one class")

    with pytest.raises(StageError, match="only one class") as caught:
        Metric(name="auc", function=broken).score(OUTPUTS, LABELS, place="here")
    assert "test_metric.py, line" in caught.value.cause


def test_accuracy_is_counted():
    assert ACCURACY.score(OUTPUTS, LABELS, place="here") == pytest.approx(2 / 3)
