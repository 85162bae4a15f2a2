from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from paretune.profiles.errors import UserError
from paretune.search.stages.models.model_checks import check_model, check_same_outputs
from paretune.search.stages.models.output_checks import check_teacher
from paretune.search.workload.split_checks import check_onnx, check_splits
from paretune.search.workload.workload import ACCURACY, Metric, Split, Splits, Workload
from torch import nn

CLASSES = 3
ONE_HOT = np.eye(CLASSES, dtype=int)


def part(seed: int, count: int = 60) -> Split:
    values = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return Split(inputs={"x": values}, labels=np.arange(count) % CLASSES)


@pytest.fixture
def splits() -> Splits:
    return Splits(train=part(0), calibration=part(1), validation=part(2), test=part(3))


def changed(split: Split, row: int, value: float) -> Split:
    values = split.inputs["x"].copy()
    values[row] = value
    return replace(split, inputs={"x": values})


def test_good_splits_pass(splits):
    check_splits(splits)
    check_splits(replace(splits, train=Split(inputs={"x": np.tile(splits.train.inputs["x"], (2, 1))},
                                             labels=np.tile(splits.train.labels, 2))))  # fmt: skip


def bad_splits(splits: Splits, case: str) -> Splits:
    train, test = splits.train, splits.test
    values = test.inputs["x"]
    return {
        "list": lambda: replace(splits, test=replace(test, labels=list(test.labels))),
        "no inputs": lambda: replace(splits, test=replace(test, inputs={})),
        "empty": lambda: replace(splits, test=test.head(0)),
        "length": lambda: replace(splits, test=replace(test, labels=test.labels[:-1])),
        "names": lambda: replace(splits, test=replace(test, inputs={"y": values})),
        "shape": lambda: replace(splits, test=replace(test, inputs={"x": values[:, :3]})),
        "dtype": lambda: replace(splits, test=replace(test, inputs={"x": values.astype(np.float64)})),
        "nan": lambda: replace(splits, train=changed(train, 7, np.nan)),
        "inf": lambda: replace(splits, test=changed(test, 0, np.inf)),
        "nan labels": lambda: replace(splits, test=replace(test, labels=np.full(60, np.nan))),
        "float labels": lambda: replace(splits, test=replace(test, labels=test.labels / 2)),
        "one-hot labels": lambda: replace(splits, train=replace(train, labels=ONE_HOT[train.labels])),
        "from -1": lambda: replace(splits, test=replace(test, labels=test.labels - 1)),
        "class": lambda: replace(splits, test=replace(test, labels=test.labels % 2)),
        "class in calibration": lambda: replace(splits, calibration=replace(part(1), labels=test.labels % 2)),
        "one class": lambda: Splits(**{n: replace(s, labels=s.labels * 0) for n, s in splits.items()}),
        "overlap": lambda: replace(splits, test=changed(changed(test, 5, 1.5), 9, 2.5),
                                   train=changed(changed(train, 7, 2.5), 8, 1.5)),
        "calibration in train": lambda: replace(splits, calibration=train.head(30)),
    }[case]()  # fmt: skip


MESSAGES = {
    "list": r"split 'test': 'labels' is not a numpy array.*found: list",
    "no inputs": r"split 'test': not a Split with inputs",
    "empty": r"split 'test': the split is empty",
    "length": r"split 'test': input 'x' and the labels differ in length.*60 samples, 59 labels",
    "names": r"split 'test': inputs differ from those of split 'train'.*found: y.*accepted: x",
    "shape": r"split 'test': input 'x' differs.*float32\[3\].*float32\[4\]",
    "dtype": r"split 'test': input 'x' differs.*float64\[4\].*float32\[4\]",
    "nan": r"split 'train': input 'x' has values that are not finite.*1 of 60 samples, the first at 7",
    "nan labels": r"split 'test': labels have values that are not finite.*60 of 60 samples",
    "inf": r"split 'test': input 'x' has values that are not finite.*the first at 0",
    "float labels": r"split 'test': labels are not class numbers.*float64",
    "one-hot labels": r"split 'train': labels are not class numbers.*int64\[60, 3\]",
    "from -1": r"split 'test': labels are not class numbers.*-1",
    "class": r"classes are missing in split 'test': 2\n.*2 of 3 classes.*stratified",
    "class in calibration": r"classes are missing in split 'calibration': 2",
    "one class": r"the labels have one class only",
    "overlap": r"'train' and 'test' share 2 samples.*train\[7, 8\] and test\[5, 9\].*remove them",
    "calibration in train": r"'train' and 'calibration' share 30 samples.*and 25 more",
}


@pytest.mark.parametrize("case", MESSAGES)
def test_bad_splits_are_refused_with_place_and_remedy(splits, case):
    with pytest.raises(UserError, match=f"(?s){MESSAGES[case]}"):
        check_splits(bad_splits(splits, case))


def test_small_calibration_may_lack_a_class(splits):
    few = replace(part(1, count=20), labels=np.arange(20) % 2)
    check_splits(replace(splits, calibration=few))


def test_labels_of_another_metric_are_the_users_business(splits):
    metric = Metric(name="mean_error", function=lambda outputs, labels: 0.0, higher_is_better=False)
    check_splits(Splits(**{n: replace(s, labels=s.labels * 0.5) for n, s in splits.items()}), metric)


class Returns(nn.Module):
    """Takes `x` and returns whatever the function makes of it."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Named(nn.Module):
    def forward(self, image, mask):
        return image


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(5, 3), r"forward arguments|the splits' inputs are not the arguments.*accepted: input"),
        (
            Returns(nn.Linear(5, 3)),
            r"forward of teacher on train\[:8\] raised RuntimeError.*found: called with x float32\[8, 4\]",
        ),
        (Named(), r"the splits' inputs are not the arguments.*found: inputs x.*accepted: image, mask"),
        (Returns(lambda x: {"a": 1.0}), r"raised TypeError: forward returned float"),
        (Returns(lambda x: x[:4]), r"the output has no sample along axis 0.*shape \[4, 4\] for 8 samples"),
        (Returns(lambda x: x[:, :3] * float("nan")), r"the output is not finite"),
        (Returns(lambda x: x[:, :2]), r"one score per class.*shape \[8, 2\], labels up to 2.*\[N, 3\]"),
        (Returns(lambda x: x[:, None, :3]), r"one score per class.*shape \[8, 1, 3\]"),
    ],
)
def test_models_that_cannot_be_scored(splits, model, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        check_model(model, splits.train, ACCURACY, "teacher")


def shape_of(outputs):
    return next(iter(outputs.values())).shape[1:]


def test_good_models_pass(splits):
    assert shape_of(check_model(Returns(nn.Linear(4, 3)), splits.train, ACCURACY, "teacher")) == (3,)
    assert shape_of(check_model(Returns(lambda x: (x, x)), splits.train, ACCURACY, "teacher")) == (4,)
    loose = Metric(name="error", function=lambda outputs, labels: 0.0)
    assert shape_of(check_model(Returns(lambda x: x.sum(1)), splits.train, loose, "teacher")) == ()


def test_a_students_output_must_be_the_teachers():
    three, four = {"output": np.zeros((2, 3))}, {"output": np.zeros((2, 4))}
    check_same_outputs("student", three, three, "output", None)
    with pytest.raises(UserError, match=r"(?s)student width=1: .*differs in shape.*\[4\].*\[3\]"):
        check_same_outputs("student width=1", four, three, "output", None)


def scores(labels: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[labels]


def test_a_teacher_must_beat_chance_and_the_commonest_class(splits):
    labels = splits.validation.labels
    assert check_teacher(scores(labels), splits, ACCURACY) == 1.0
    with pytest.raises(
        UserError, match=r"(?s)no better than chance: accuracy 0 on validation.*is really trained"
    ):
        check_teacher(scores((labels + 1) % CLASSES), splits, ACCURACY)
    skewed = np.r_[np.zeros(50, int), np.ones(5, int), np.full(5, 2)]
    mostly = Splits(**{n: replace(s, labels=skewed) for n, s in splits.items()})
    with pytest.raises(
        UserError, match=r"(?s)accuracy 0\.8333 .*always answering class 0 gives up to 0\.8333"
    ):
        check_teacher(scores(skewed * 0), mostly, ACCURACY)


def test_chance_holds_for_any_metric(splits):
    error = Metric(
        name="error", function=lambda o, y: float(np.abs(o[:, 0] - y).mean()), higher_is_better=False
    )
    labels = splits.validation.labels.astype(np.float32)
    assert check_teacher(labels[:, None] + 0.1, splits, error) == pytest.approx(0.1)
    with pytest.raises(
        UserError, match=r"(?s)no better than chance: error .*its own outputs in random order"
    ):
        check_teacher(2 - labels[:, None], splits, error)


def test_a_metric_must_give_a_number(splits):
    for value in (float("nan"), None, np.zeros(3)):
        metric = Metric(name="odd", function=lambda outputs, labels, value=value: value)
        with pytest.raises(UserError, match=r"the metric 'odd' gave .*(finite|one) number"):
            check_teacher(scores(splits.validation.labels), splits, metric)


def onnx_model(path, name="x", width=4, dtype=TensorProto.FLOAT):
    x = helper.make_tensor_value_info(name, dtype, ["batch", width])
    y = helper.make_tensor_value_info("y", dtype, ["batch", width])
    graph = helper.make_graph([helper.make_node("Relu", [name], ["y"])], "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


def test_an_onnx_model_must_take_the_splits_inputs(splits, tmp_path):
    path = tmp_path / "model.onnx"
    workload = Workload(name="w", splits=lambda: splits, onnx=path)
    onnx_model(path)
    check_onnx(path, splits, workload)
    onnx_model(path, name="z")
    with pytest.raises(UserError, match=r"(?s)inputs are not those of the ONNX model.*found: x.*accepted: z"):
        check_onnx(path, splits, workload)
    onnx_model(path, width=5)
    with pytest.raises(UserError, match=r"(?s)'x' of the splits does not fit.*float32\[4\].*float32\[5\]"):
        check_onnx(path, splits, workload)
    onnx_model(path, dtype=TensorProto.DOUBLE)
    with pytest.raises(UserError, match=r"(?s)does not fit.*float64\[4\]"):
        check_onnx(path, splits, workload)
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match="not a valid ONNX model"):
        check_onnx(path, splits, workload)


def test_checks_are_silent_about_good_data(splits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_splits(splits)
        torch.manual_seed(0)
        check_model(Returns(nn.Linear(4, 3)), splits.train, ACCURACY, "teacher")
