"""What is particular to ONNX Runtime: users' own ONNX files, tied weights, saturation, session settings."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract import CompileSettings, SourceModel
from paretune.backends.onnx_inspect import in_fixed_order, weight_bytes
from paretune.backends.ort import OrtBackend, OrtSession
from paretune.backends.ort_quantize import gemm_as_matmul, prepared, with_batch
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.profiles.precision import Precision

BACKEND = OrtBackend()
RNG = np.random.default_rng(0)
DATA = {"x": RNG.standard_normal((16, 32)).astype(np.float32)}


def value(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def write(path, nodes, weights, *, shape=("batch", 32), outputs=("y",), opset=18):
    graph = helper.make_graph(
        nodes,
        "test",
        [value("x", list(shape))],
        [value(name, ["batch", 32]) for name in outputs],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    proto.ir_version = 8
    onnx.save(proto, path)
    return SourceModel(path=path, format="onnx")


def tied(path, opset=18):
    """Two layers that share one transposed weight."""
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w"], ["y"], transB=1),
    ]
    weights = {"w": RNG.standard_normal((32, 32)) / 6, "b": RNG.standard_normal(32)}
    return write(path, nodes, weights, opset=opset)


def compile_at(source, precision, tmp_path, batch=4, **settings):
    folder = tmp_path / str(precision)
    folder.mkdir()
    return BACKEND.compile(
        source, CompileSettings(precision=precision, batch=batch, **settings), DATA, folder
    )


@pytest.mark.parametrize(
    ("precision", "least_db"),
    [(Precision.INT8, 25), (Precision.INT8_DYNAMIC, 25), (Precision.INT4_WEIGHT, 10)],
    ids=str,
)
def test_tied_weights_stay_right(tmp_path, precision, least_db):
    artifact = compile_at(tied(tmp_path / "tied.onnx"), precision, tmp_path)
    assert float(artifact.notes[0].split()[-5]) > least_db, artifact.notes


def test_rewritten_gemm_computes_the_same(tmp_path):
    proto = prepared(with_batch(tied(tmp_path / "tied.onnx").path, 4))
    rewritten = gemm_as_matmul(proto)
    assert {node.op_type for node in rewritten.graph.node} == {"MatMul", "Add", "Relu"}
    feed = {"x": DATA["x"][:4]}
    with OrtSession(proto.SerializeToString(), 1) as one, OrtSession(rewritten.SerializeToString(), 1) as two:
        assert np.allclose(one.run(feed)["y"], two.run(feed)["y"], atol=1e-5)


def test_gemm_with_factors_is_left_alone(tmp_path):
    nodes = [helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5)]
    source = write(tmp_path / "m.onnx", nodes, {"w": RNG.standard_normal((32, 32))})
    rewritten = gemm_as_matmul(onnx.load(source.path))
    assert [node.op_type for node in rewritten.graph.node] == ["Gemm"]


def test_old_opset_is_raised(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    source = write(tmp_path / "old.onnx", nodes, {"w": RNG.standard_normal((32, 32))}, opset=11)
    artifact = compile_at(source, Precision.INT8, tmp_path)
    assert max(o.version for o in onnx.load(artifact.path).opset_import if not o.domain) >= 13
    assert artifact.weight_bytes["int8"] >= 32 * 32


def test_fixed_batch_of_the_user_is_named(tmp_path):
    source = write(
        tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.eye(32)}, shape=(2, 32)
    )
    with pytest.raises(UnsupportedError, match="'x' has a fixed batch of 2, asked for 4"):
        compile_at(source, Precision.FP32, tmp_path)


def test_other_open_axes_are_named(tmp_path):
    source = write(
        tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], {}, shape=("batch", "length")
    )
    with pytest.raises(UnsupportedError, match="axis 1 of input 'x' has no fixed size"):
        compile_at(source, Precision.FP32, tmp_path)


def test_name_of_the_batch_is_followed_everywhere(tmp_path):
    """The batch may stand on another axis of an output, and old files list weights among the inputs."""
    source = write(
        tmp_path / "m.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"w": np.eye(32)},
        shape=("n", 32),
    )
    proto = onnx.load(source.path)
    proto.graph.input.append(value("w", [32, 32]))
    proto.graph.node.append(helper.make_node("Transpose", ["y"], ["turned"]))
    proto.graph.output.append(value("turned", [32, "n"]))
    onnx.save(proto, source.path)
    with BACKEND.open(compile_at(source, Precision.FP32, tmp_path).path, 4, 1) as session:
        assert [spec.name for spec in session.inputs] == ["x"]
        assert {spec.name: spec.shape for spec in session.outputs} == {"y": (4, 32), "turned": (32, 4)}


def test_graph_with_a_cycle_is_named():
    nodes = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Relu", ["b"], ["a"])]
    graph = helper.make_graph(nodes, "g", [], [value("a", [1])])
    with pytest.raises(ValueError, match="has a cycle"):
        in_fixed_order(helper.make_model(graph))


def test_model_without_weights_to_quantize_is_refused(tmp_path):
    source = write(tmp_path / "m.onnx", [helper.make_node("Mul", ["x", "w"], ["y"])], {"w": np.ones((1, 32))})
    with pytest.raises(UnsupportedError, match="int8-dynamic would reach 0 % of the weights: ONNX"):
        compile_at(source, Precision.INT8_DYNAMIC, tmp_path)


def test_per_tensor_weights_have_one_scale(tmp_path):
    source = tied(tmp_path / "m.onnx")
    scales = {}
    for per_channel in (True, False):
        folder = tmp_path / str(per_channel)
        folder.mkdir()
        settings = CompileSettings(precision=Precision.INT8, batch=4, per_channel=per_channel)
        graph = onnx.load(BACKEND.compile(source, settings, DATA, folder).path).graph
        sizes = {t.name: int(np.prod(t.dims)) for t in graph.initializer}
        scales[per_channel] = max(size for name, size in sizes.items() if name.endswith("_scale"))
    assert scales == {True: 32, False: 1}


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
@pytest.mark.parametrize("spread", [0.0, 1e-7])
def test_an_activation_that_hardly_varies_can_be_calibrated(tmp_path, method, spread):
    """Its histogram has no room for bins: 3.3 and 3.3000002 are neighbours in float32."""
    weight = RNG.standard_normal((32, 32)).astype(np.float32) / 6
    nodes = [
        helper.make_node("Mul", ["x", "spread"], ["t"]),
        helper.make_node("Add", ["t", "level"], ["still"]),
        helper.make_node("MatMul", ["still", "w"], ["h"]),
        helper.make_node("Add", ["h", "x"], ["y"]),
    ]
    weights = {"w": weight, "spread": np.array(spread), "level": np.array(3.3)}
    source = write(tmp_path / "m.onnx", nodes, weights)
    artifact = compile_at(source, Precision.INT8, tmp_path, calibration_method=method)
    assert float(artifact.notes[0].split()[-5]) > 25, artifact.notes


def test_weights_use_seven_bits_where_products_could_saturate(tmp_path):
    artifact = compile_at(tied(tmp_path / "m.onnx"), Precision.INT8, tmp_path)
    weights = [
        numpy_helper.to_array(tensor)
        for tensor in onnx.load(artifact.path).graph.initializer
        if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 2
    ]
    assert weights
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) <= 64


def test_weights_beyond_half_precision_are_noticed(tmp_path):
    """6e6 does not fit into float16: the converter clips it to 65504 without a word."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Mul", ["h", "s"], ["y"])]
    weights = {"w": RNG.standard_normal((32, 32)), "s": np.full((1, 32), 6e6)}
    source = write(tmp_path / "m.onnx", nodes, weights)
    with pytest.raises(StageError, match="artifact disagrees with the float model"):
        compile_at(source, Precision.FP16, tmp_path)


def test_the_source_is_never_overwritten(tmp_path):
    source = tied(tmp_path / "model.onnx")
    original = source.path.read_bytes()
    with pytest.raises(ValueError, match=r"would overwrite the source model model\.onnx"):
        BACKEND.compile(source, CompileSettings(precision=Precision.FP16, batch=4), DATA, tmp_path)
    assert source.path.read_bytes() == original


def test_check_can_be_left_out(tmp_path):
    artifact = compile_at(tied(tmp_path / "m.onnx"), Precision.INT8, tmp_path, check=False)
    assert not any("agrees with" in note for note in artifact.notes)


def test_fixed_order_does_not_depend_on_the_order_given(tmp_path):
    proto = onnx.load(tied(tmp_path / "m.onnx").path)
    mixed = onnx.ModelProto.FromString(proto.SerializeToString())
    nodes, weights = list(mixed.graph.node)[::-1], list(mixed.graph.initializer)[::-1]
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    tensors = [onnx.TensorProto.FromString(t.SerializeToString()) for t in weights]
    del mixed.graph.node[:], mixed.graph.initializer[:]
    mixed.graph.node.extend(copies)
    mixed.graph.initializer.extend(tensors)
    assert in_fixed_order(mixed).SerializeToString() == in_fixed_order(proto).SerializeToString()


def test_subgraphs_count_as_readers():
    """A node whose value only the branch of an If reads must come before it."""
    branch = helper.make_graph(
        [helper.make_node("Identity", ["late"], ["out"])], "branch", [], [value("out", [1])]
    )
    nodes = [
        helper.make_node("If", ["c"], ["a_first"], then_branch=branch, else_branch=branch),
        helper.make_node("Relu", ["x"], ["late"]),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", [1])], [value("a_first", [1])])
    ordered = in_fixed_order(helper.make_model(graph)).graph.node
    assert [node.op_type for node in ordered] == ["Relu", "If"]


def test_weight_bytes_by_storage_type():
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros(3, np.int64)))],
        "g",
        [],
        [],
        [
            numpy_helper.from_array(np.zeros(5, np.float32), "a"),
            helper.make_tensor("b", TensorProto.FLOAT, [2], [1.0, 2.0]),
            numpy_helper.from_array(np.zeros(7, np.int8), "d"),
            helper.make_tensor("e", TensorProto.INT4, [3], [1, 2, 3]),
        ],
    )
    stored = weight_bytes(helper.make_model(graph))
    assert stored == {"float32": 28, "int4": 2, "int64": 24, "int8": 7}


def test_what_is_not_a_model_does_not_open(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"nothing")
    with pytest.raises(Exception, match=r"(?i)protobuf"):
        BACKEND.open(tmp_path / "m.onnx", 1, 1)
