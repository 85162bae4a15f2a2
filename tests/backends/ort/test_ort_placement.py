"""Where ONNX Runtime runs nodes: a node of each kind that it runs otherwise than the file means."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.onnx_graph.written import WrittenGraph, read_graph
from paretune.backends.ort.backend import OrtBackend
from paretune.backends.ort.placement import means_low, ran_nodes, reasons

node = helper.make_node
CODES = np.arange(-32, 32, dtype=np.int8).reshape(8, 8)
ARRAYS = {
    "codes": CODES,
    "kernel": np.ones((8, 8, 1), np.int8),
    "scale": np.float32(0.1),
    "zero": np.uint8(128),
    "plain": np.ones((8, 8), np.float32),
    "gain": np.ones(8, np.float32),
    "axis": np.int64(1),
}


def pair(name, into):
    """Quantize and dequantize."""
    return [
        node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_q"]),
        node("DequantizeLinear", [f"{name}_q", "scale", "zero"], [into]),
    ]


def placed(tmp_path, nodes, *, shape=(4, 8), out=None, kind=TensorProto.FLOAT, others=(), arrays=None):
    """How a file of these nodes runs, which read x and make y."""
    path = tmp_path / "model.onnx"
    ends = [helper.make_tensor_value_info(n, kind, s) for n, s in (("x", shape), ("y", out or shape))]
    constants = [numpy_helper.from_array(np.asarray(a), n) for n, a in {**ARRAYS, **(arrays or {})}.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], [*ends[1:], *others], constants)
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    with OrtBackend().open(path, shape[0], 1) as session:
        feed = {"x": np.ones(shape, helper.tensor_dtype_to_np_dtype(kind))}
        found = session.placement(feed)
        assert session.run(feed)["y"].shape == tuple(out or shape)  # the session itself is as it was
    return found


@pytest.mark.parametrize(
    "between",
    [
        node("CumSum", ["d", "axis"], ["m"], name="odd"),
        node("LayerNormalization", ["d", "gain"], ["m"], name="odd"),
        node("Erf", ["d"], ["m"], name="odd"),
        node("TopK", ["d", "eight"], ["m", "index"], name="odd"),
    ],
    ids=lambda one: one.op_type,
)
def test_what_has_no_integer_kernel_is_named_and_why(tmp_path, between):
    arrays = {"eight": np.array([8], np.int64)}
    found = placed(tmp_path, [*pair("x", "d"), between, *pair("m", "y")], arrays=arrays)
    (odd,) = [one for one in found.nodes if not one.intended]
    assert (odd.name, odd.op, odd.place) == ("odd", between.op_type, "CPUExecutionProvider")
    assert odd.kernel == f"{between.op_type} (float)"
    assert "QuantizeLinear" in odd.reason
    assert sum(one.share_of_time for one in found.nodes) == pytest.approx(1)


def test_what_has_one_and_what_is_kept_in_float_runs_as_meant(tmp_path):
    nodes = [
        *pair("x", "d"),
        node("DequantizeLinear", ["codes", "scale"], ["w"]),
        node("MatMul", ["d", "w"], ["low"], name="low"),
        *pair("low", "ld"),
        node("MatMul", ["ld", "plain"], ["kept"], name="kept"),
        *pair("kept", "y"),
    ]
    found = placed(tmp_path, nodes)
    assert found.share_of_nodes == found.share_of_time == 1.0
    assert {"QLinearMatMul", "MatMul"} <= {one.op for one in found.nodes}


def test_weights_that_are_dequantized_at_every_run_are_told(tmp_path):
    """A convolution in whose output nothing is quantized."""
    nodes = [
        *pair("x", "d"),
        node("DequantizeLinear", ["kernel", "scale"], ["w"]),
        node("Conv", ["d", "w"], ["y"], name="conv"),
    ]
    found = placed(tmp_path, nodes, shape=(1, 8, 5))
    assert [one.op for one in found.nodes if not one.intended] in (["Conv"], ["FusedConv"])


def test_casts_around_a_node_without_a_half_kernel_are_told(tmp_path):
    nodes = [
        node("Einsum", ["x"], ["e"], name="odd", equation="ij->ij"),
        node("Erf", ["e"], ["y"], name="erf"),
    ]
    found = placed(tmp_path, nodes, kind=TensorProto.FLOAT16)
    odd = [one for one in found.nodes if not one.intended]
    assert odd
    assert all("16-bit" in one.reason for one in odd)


def test_a_branch_is_one_node_and_its_time_is_counted_once(tmp_path):
    def branch(name, op):
        body = [node(op, ["x"], [name], name=f"in_{name}")]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (4, 8))]
        return helper.make_graph(body, name, [], ends)

    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "scale"], ["positive"]),
        node(
            "If",
            ["positive"],
            ["y"],
            name="if",
            then_branch=branch("a", "Sin"),
            else_branch=branch("b", "Cos"),
        ),
    ]
    found = placed(tmp_path, nodes)
    assert {"If", "Sin"} <= {one.op for one in found.nodes}
    assert "Cos" not in {one.op for one in found.nodes}
    assert sum(one.share_of_time for one in found.nodes) == pytest.approx(1)
    assert all(one.share_of_time >= 0 for one in found.nodes)


def test_a_profile_is_read_without_its_first_run():
    def event(name, ts, dur, **args):
        told = {"op_name": name, "provider": "CPU", "node_index": "0", "input_type_shape": [{"float": [1]}]}
        return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": {**told, **args}}

    def run(ts):
        return {"cat": "Session", "name": "model_run", "ts": ts, "dur": 50}

    events = [
        {"cat": "Session", "name": "model_loading", "ts": 0, "dur": 1},
        run(10), event("Loop", 11, 40), event("Add", 12, 30),
        run(100), event("Loop", 101, 20), event("Add", 102, 5), event("Add", 108, 5),
        {"cat": "Node", "name": "Add_fence_before", "ts": 102, "dur": 0, "args": {"op_name": "Add"}},
    ]  # fmt: skip
    loop, add = ran_nodes(json.loads(json.dumps(events)))
    assert (sum(loop.times), sum(add.times)) == (10, 10)
    assert (loop.operator, loop.types) == ("Loop", ("float",))


def test_a_graph_is_read_as_onnx_reads_it(tmp_path):
    path = tmp_path / "m.onnx"
    nodes = [*pair("x", "d"), node("Gelu", ["d", ""], ["y"], name="g", domain="com.microsoft")]
    constants = [numpy_helper.from_array(np.ones((300, 300), np.float32), "large")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], constants)), path)
    found = read_graph(path)
    assert [(n.name, n.operator, n.domain, list(n.inputs), list(n.outputs)) for n in found.nodes] == [
        (n.name, n.op_type, n.domain, list(n.input), list(n.output)) for n in nodes
    ]
    assert (found.constants, found.types) == ({"large"}, {TensorProto.FLOAT})
    assert means_low(found, {"float32"})
    assert not means_low(WrittenGraph(types={TensorProto.FLOAT}), {"float32"})
    assert means_low(WrittenGraph(types={TensorProto.FLOAT16}), {"float32"})
    assert reasons(found, {"g"}) == {}
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="ONNX"):
        read_graph(path)
