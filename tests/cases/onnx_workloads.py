"""Small ONNX files as other tools write them, each with data and a workload."""

from pathlib import Path

import numpy as np
from cases.torch_workloads import CLASSES, drawn
from onnx import TensorProto, checker, helper, numpy_helper, save
from paretune import Split, Splits, Workload

FEATURES, HIDDEN, TOKENS = 12, 16, 24


def vectors(dtype=np.float32):
    """Splits of samples around one point for each class."""

    def make(rng, count):
        points = np.random.default_rng(5).normal(size=(CLASSES, FEATURES))
        labels = np.arange(count) % CLASSES
        x = points[labels] + rng.normal(0, 0.6, (count, FEATURES))
        return Split(inputs={"x": x.astype(dtype)}, labels=labels.astype(np.int64))

    return drawn(make)


def weights(dtype=np.float32):
    """Of two layers: random features, and the head that fits the classes best."""
    split = vectors()().train
    rng = np.random.default_rng(3)
    first, bias = rng.normal(size=(FEATURES, HIDDEN)), rng.normal(size=HIDDEN)
    hidden = np.clip(split.inputs["x"] @ first + bias, 0, 6)
    head = np.linalg.lstsq(hidden, np.eye(CLASSES)[split.labels], rcond=None)[0]
    return {name: array.astype(dtype) for name, array in {"w": first, "b": bias, "v": head}.items()}


def written(path, nodes, inputs, outputs, constants, *, opsets, ir=8):
    """A model file. `constants` are initializers; those of `inputs` that carry their names are inputs too."""
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "case", inputs, outputs, initializer=tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*o) for o in opsets], ir_version=ir)
    checker.check_model(model)
    save(model, path)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def workload(path, splits):
    return Workload(name=Path(path).stem, splits=splits, onnx=Path(path))


def initializers_as_inputs(path):
    """IR 3, opset 9, every initializer an input as well, ReLU6 by attributes, a name with a colon."""
    held = weights()
    nodes = [
        helper.make_node("MatMul", ["x:0", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["a"]),
        helper.make_node("Clip", ["a"], ["c"], min=0.0, max=6.0),
        helper.make_node("Clip", ["c"], ["d"], min=0.0, max=6.0),
        helper.make_node("MatMul", ["d", "v"], ["y"]),
    ]
    inputs = [value("x:0", ["N", FEATURES]), *(value(name, array.shape) for name, array in held.items())]
    written(path, nodes, inputs, [value("y", ["N", CLASSES])], held, opsets=[("", 9)], ir=3)

    def renamed():
        found = vectors()()
        parts = {name: getattr(found, name) for name in ("train", "calibration", "validation", "test")}
        return Splits(**{n: Split(inputs={"x:0": s.inputs["x"]}, labels=s.labels) for n, s in parts.items()})

    return workload(path, renamed)


def free_sequence(path):
    """Batch and sequence are free; all data has 24 tokens."""

    def tokens(rng, count):
        labels = np.arange(count) % CLASSES
        own = rng.integers(0, 10, (count, TOKENS)) + 10 * labels[:, None]
        ids = np.where(rng.random((count, TOKENS)) < 0.5, own, rng.integers(0, 30, (count, TOKENS)))
        return Split(inputs={"ids": ids.astype(np.int64)}, labels=labels.astype(np.int64))

    table = np.kron(np.eye(CLASSES), np.ones((10, 1))) + np.random.default_rng(2).normal(
        0, 0.05, (30, CLASSES)
    )
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"]),
        helper.make_node("MatMul", ["e", "v"], ["h"]),
        helper.make_node("ReduceMean", ["h"], ["y"], axes=[1], keepdims=0),
    ]
    held = {"table": table.astype(np.float32), "v": np.eye(CLASSES, dtype=np.float32) * 2}
    ids = value("ids", ["N", "S"], TensorProto.INT64)
    written(path, nodes, [ids], [value("y", ["N", CLASSES])], held, opsets=[("", 17)])
    return workload(path, drawn(tokens))


def _trees(path, opsets):
    """One tree: the class by two thresholds. The first output is the class label, the second its scores."""
    leaves = [(2, 0), (3, 1), (4, 2)]
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        nodes_treeids=[0] * 5,
        nodes_nodeids=[0, 1, 2, 3, 4],
        nodes_featureids=[0, 1, 0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
        nodes_values=[0.0, 0.0, 0.0, 0.0, 0.0],
        nodes_truenodeids=[2, 3, 0, 0, 0],
        nodes_falsenodeids=[1, 4, 0, 0, 0],
        class_treeids=[0] * 3,
        class_nodeids=[leaf for leaf, _ in leaves],
        class_ids=[label for _, label in leaves],
        class_weights=[1.0] * 3,
        classlabels_int64s=[0, 1, 2],
        post_transform="NONE",
    )
    outputs = [value("label", ["N"], TensorProto.INT64), value("scores", ["N", CLASSES])]
    written(path, [node], [value("x", ["N", 2])], outputs, {}, opsets=opsets)

    def points(rng, count):
        x = rng.normal(size=(count, 2)).astype(np.float32)
        labels = np.where(x[:, 0] <= 0, 0, np.where(x[:, 1] <= 0, 1, 2))
        wrong = rng.random(count) < 0.1  # so that the right score is not 100 %
        return Split(inputs={"x": x}, labels=np.where(wrong, (labels + 1) % 3, labels).astype(np.int64))

    return workload(path, drawn(points))


def trees(path):
    return _trees(path, [("ai.onnx.ml", 1)])


def trees_of_both_domains(path):
    return _trees(path, [("ai.onnx.ml", 3), ("", 15)])


def true_accuracy(splits):
    """Of the tree on the validation split, by hand."""
    x, labels = splits.validation.inputs["x"], splits.validation.labels
    return float((np.where(x[:, 0] <= 0, 0, np.where(x[:, 1] <= 0, 1, 2)) == labels).mean())


def half_handed_in(path):
    """float16 throughout, its input too."""
    held, half = weights(np.float16), TensorProto.FLOAT16
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["c"]),
        helper.make_node("MatMul", ["c", "v"], ["y"]),
    ]
    ends = [value("x", ["N", FEATURES], half)], [value("y", ["N", CLASSES], half)]
    written(path, nodes, *ends, held, opsets=[("", 17)])
    return workload(path, vectors(np.float16))


def already_quantized(path):
    """Weights as int8 with their Q/DQ pairs, ranges of activations too."""
    held = weights()
    scales = {name: np.float32(np.abs(held[name]).max() / 127) for name in ("w", "v")}
    constants = {"b": held["b"], "zero": np.int8(0), "sx": np.float32(0.05), "sc": np.float32(0.1)}
    nodes = []
    for name, scale in scales.items():
        constants |= {f"{name}_q": np.round(held[name] / scale).astype(np.int8), f"{name}_s": scale}
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_s", "zero"], [name]))
    nodes += [*_pair("x", "sx"), helper.make_node("Gemm", ["x_d", "w", "b"], ["a"])]
    nodes += [helper.make_node("Relu", ["a"], ["c"]), *_pair("c", "sc")]
    nodes.append(helper.make_node("MatMul", ["c_d", "v"], ["y"]))
    ends = [value("x", ["N", FEATURES])], [value("y", ["N", CLASSES])]
    arrays = {name: np.asarray(array) for name, array in constants.items()}
    written(path, nodes, *ends, arrays, opsets=[("", 17)])
    return workload(path, vectors())


def _pair(name, scale):
    return [
        helper.make_node("QuantizeLinear", [name, scale, "zero"], [f"{name}_i"]),
        helper.make_node("DequantizeLinear", [f"{name}_i", scale, "zero"], [f"{name}_d"]),
    ]
