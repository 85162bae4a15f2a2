"""Small ONNX files of the kinds that users hand over. All score three classes of samples with eight numbers:
`relu(x @ FIRST) @ SECOND`, so that labels by the largest score make each of them right."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.search.record.progress import Progress
from paretune.search.stages.models.onnx_models import OnnxModels
from paretune.search.store.store import Store
from paretune.search.workload.loader import LoadedWorkload
from paretune.search.workload.workload import ACCURACY, Split, Splits, Workload

RNG = np.random.default_rng(0)
FIRST = RNG.normal(0, 0.5, (8, 8)).astype(np.float32)
SECOND = RNG.normal(0, 1, (8, 3)).astype(np.float32)
WEIGHTS = {"first": FIRST, "second": SECOND}
FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE
node = helper.make_node


def scores(x):
    return np.maximum(x.astype(np.float32) @ FIRST, 0) @ SECOND


def value(name, shape=("N", 8), kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def body(x="x", y="y"):
    """The network, one name for two nodes and none for the third."""
    return [
        node("MatMul", [x, "first"], ["h"], name="a"),
        node("Relu", ["h"], ["r"], name="a"),
        node("MatMul", ["r", "second"], [y]),
    ]


def model(nodes=None, weights=None, *, inputs=None, outputs=None, opset=17, ir=8, domains=()):
    """A model of these nodes; by default the network as it is."""
    constants = {**WEIGHTS, **(weights or {})}
    graph = helper.make_graph(
        nodes or body(),
        "g",
        inputs or [value("x")],
        outputs or [value("y", ("N", 3))],
        [t if isinstance(t, TensorProto) else numpy_helper.from_array(t, n) for n, t in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*domain) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir)


def splits(dtype=np.float32, width=8):
    rng, found = np.random.default_rng(1), {}
    for name, count in (("train", 300), ("calibration", 60), ("validation", 90), ("test", 60)):
        x = rng.normal(size=(count, width)).astype(dtype)
        found[name] = Split(inputs={"x": x}, labels=scores(x).argmax(1).astype(np.int64))
    return Splits(**found)


def models_of(proto, folder: Path, *, dtype=np.float32, metric=ACCURACY, outputs=None):
    """The models of a workload that brings this file."""
    path = folder / "model.onnx"
    if not path.exists():
        path.write_bytes(proto.SerializeToString())
    data = splits(dtype)
    workload = Workload(name="w", splits=lambda: data, onnx=path, metric=metric, outputs=outputs)
    return OnnxModels(LoadedWorkload(workload, folder, "digest"), Store(folder / "store"), Progress())


def branch(name, *nodes):
    return helper.make_graph([*nodes], name, [], [value(f"{name}_y", ("N", 3))])


def with_branches():
    """The second product stands in both bodies of an If, which read a constant and a tensor from outside."""
    then = branch("then", node("MatMul", ["r", "second"], ["then_y"]))
    other = branch("other", node("MatMul", ["r", "second"], ["t"]), node("Neg", ["t"], ["other_y"]))
    nodes = [
        *body()[:2],
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "least"], ["so"]),
        node("If", ["so"], ["y"], then_branch=then, else_branch=other),
    ]
    return model(nodes, {"least": np.float32(-1e4)})


def with_loop():
    inner = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("MatMul", ["state", "eye"], ["next"])],
        "loop",
        [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL), value("state")],
        [value("on", (), TensorProto.BOOL), value("next")],
    )
    nodes = [
        *body()[:2],
        node("Loop", ["times", "yes", "r"], ["r2"], body=inner),
        node("MatMul", ["r2", "second"], ["y"]),
    ]
    return model(nodes, {"times": np.int64(2), "yes": np.bool_(True), "eye": np.eye(8, dtype=np.float32)})


def with_function():
    proto = model(
        [node("Lin", ["x", "first"], ["r"], domain="my"), node("MatMul", ["r", "second"], ["y"])],
        domains=[("my", 1)],
    )
    inside = [node("MatMul", ["a", "b"], ["t"]), node("Relu", ["t"], ["c"])]
    proto.functions.append(
        helper.make_function("my", "Lin", ["a", "b"], ["c"], inside, [helper.make_opsetid("", 17)])
    )
    return proto


def with_sparse_weight():
    proto = model()
    del proto.graph.initializer[1]
    values = numpy_helper.from_array(SECOND.ravel(), "second")
    places = numpy_helper.from_array(np.arange(24, dtype=np.int64))
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [8, 3]))
    return proto


def with_constants_as_inputs():
    shapes = [value("first", (8, 8)), value("second", (8, 3))]
    return model(inputs=[value("x"), *shapes], opset=9, ir=3)


def in_other_float(kind, *, outside=True):
    """All in another float type, or its inputs and outputs in float32."""
    weights = {
        name: helper.make_tensor(name, kind, array.shape, array.ravel().tolist())
        for name, array in WEIGHTS.items()
    }
    if outside:
        return model(weights=weights, inputs=[value("x", kind=kind)], outputs=[value("y", ("N", 3), kind)])
    casts = node("Cast", ["x"], ["x_in"], to=kind), node("Cast", ["y_in"], ["y"], to=FLOAT)
    return model([casts[0], *body("x_in", "y_in"), casts[1]], weights)


def with_labels_first(*, zipmap=False):
    """As converters of classical models write them: the class number, then probabilities."""
    nodes = [
        *body(y="s"),
        node("Softmax", ["s"], ["p"], axis=1),
        node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
    ]
    outputs = [value("label", ("N",), TensorProto.INT64), value("p", ("N", 3))]
    if zipmap:
        nodes.append(node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]))
        table = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, []))
        outputs[1] = helper.make_value_info("z", helper.make_sequence_type_proto(table))
    return model(nodes, outputs=outputs, domains=[("ai.onnx.ml", 3)])


def trees():
    """One tree that asks whether x[0] is above 0, by the opset of classical models alone."""
    settings = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.0, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "class_treeids": [0, 0, 0, 0],
        "class_nodeids": [1, 1, 2, 2],
        "class_ids": [0, 1, 0, 1],
        "class_weights": [0.9, 0.1, 0.2, 0.8],
        "classlabels_int64s": [0, 1],
    }
    made = node("TreeEnsembleClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", **settings)
    outputs = [value("label", ("N",), TensorProto.INT64), value("p", ("N", 2))]
    graph = helper.make_graph([made], "trees", [value("x", (None, 8))], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8)


def quantized():
    """Weights as int8 behind a DequantizeLinear."""
    scale = np.float32(np.abs(FIRST).max() / 127)
    codes = np.rint(FIRST / scale).astype(np.int8)
    nodes = [node("DequantizeLinear", ["codes", "scale"], ["w"]), *body()]
    nodes[1].input[1] = "w"
    proto = model(nodes, {"codes": codes, "scale": scale})
    kept = [tensor for tensor in proto.graph.initializer if tensor.name != "first"]
    copies = [TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(copies)
    return proto


def saved_beside(proto, folder: Path):
    """The file with its weights in another one."""
    onnx.save(proto, folder / "model.onnx", save_as_external_data=True, size_threshold=0, location="w.bin")
