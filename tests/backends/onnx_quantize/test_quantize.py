"""What is particular to these quantizers: files of users, tied weights, saturation, session settings."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.onnx_graph.inspect import in_fixed_order, weight_bytes, with_batch
from paretune.backends.onnx_graph.session import OrtSession
from paretune.backends.onnx_quantize.quantize import gemm_as_matmul, prepared
from paretune.backends.ort.backend import OrtBackend
from paretune.profiles.errors import UnsupportedError
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


def test_an_embedding_that_is_also_the_last_layer_is_quantized(tmp_path):
    """With one weight for both, a scale for each channel of the product would be the embedding's too."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Gather", ["words", "tokens"], ["embedded"], name="embed"),
        helper.make_node("ReduceMean", ["embedded"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["mean", "words"], ["y"], transB=1, name="head"),
    ]
    words = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "g",
        [value("tokens", TensorProto.INT64, ["batch", 6])],
        [value("y", TensorProto.FLOAT, ["batch", 40])],
        [numpy_helper.from_array(words, "words")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "tied.onnx")
    tokens = {"tokens": np.random.default_rng(1).integers(0, 40, (64, 6))}
    source, into = SourceModel(path=tmp_path / "tied.onnx", format="onnx"), tmp_path / "int8"
    into.mkdir()
    artifact = BACKEND.compile(source, CompileSettings(precision=Precision.INT8, batch=4), tokens, into)
    assert artifact.stored_as == {"words": "int8"}
    assert float(artifact.notes[0].split()[-5]) > 25, artifact.notes


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
    with pytest.raises(UnsupportedError, match=r"int8-dynamic would reach 0 % of the weights.*: ONNX"):
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


def test_weights_beyond_half_precision_stay_as_they_are(tmp_path):
    """6e6 does not fit into float16, whose largest number is 65504."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Mul", ["h", "s"], ["y"])]
    weights = {"w": RNG.standard_normal((32, 32)), "s": np.full((1, 32), 6e6)}
    source = write(tmp_path / "m.onnx", nodes, weights)
    artifact = compile_at(source, Precision.FP16, tmp_path)
    assert artifact.weight_bytes == {"float16": 2 * 32 * 32, "float32": 4 * 32}


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


def on_grid(shape, axis):
    """Weights q * absmax / 64 with a q of 64 or -64 in each slice along `axis`, and the codes q."""
    codes = RNG.integers(-64, 65, shape)
    for channel in np.moveaxis(codes, axis, 0):
        channel.flat[RNG.integers(channel.size)] = 64 * RNG.choice([-1, 1])
    largest = RNG.uniform(0.01, 1, shape[axis]).astype(np.float32)
    lengths = [-1 if one == axis else 1 for one in range(len(shape))]
    return (codes * (largest.reshape(lengths) / np.float32(64))).astype(np.float32), codes


def stored_codes(artifact):
    graph = onnx.load(artifact.path).graph
    return {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.data_type == TensorProto.INT8}


@pytest.mark.parametrize("method", ["minmax", "entropy"])
def test_a_trained_seven_bit_grid_comes_back_exactly(tmp_path, method):
    """Every kind of weight that static quantization has; large biases do not move the grid."""
    grids = {
        "conv": on_grid((6, 2, 3, 3), 0),
        "depthwise": on_grid((6, 1, 3, 3), 0),
        "up": on_grid((6, 4, 2, 2), 1),
        "turned": on_grid((12, 256), 0),
        "gemm": on_grid((12, 20), 1),
        "product": on_grid((20, 32), 1),
    }
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "conv", "bias"], ["c"], pads=[1] * 4),
        helper.make_node("Conv", ["c", "depthwise"], ["d"], pads=[1] * 4, group=6),
        helper.make_node("ConvTranspose", ["d", "up"], ["u"], strides=[2, 2]),
        helper.make_node("Flatten", ["u"], ["f"]),
        helper.make_node("Gemm", ["f", "turned", "large"], ["t"], transB=1),
        helper.make_node("Gemm", ["t", "gemm"], ["g"]),
        helper.make_node("MatMul", ["g", "product"], ["y"]),
    ]
    weights = {name: weight for name, (weight, _) in grids.items()}
    weights |= {"bias": RNG.standard_normal(6), "large": 1000 * RNG.standard_normal(12)}
    source = write(tmp_path / "m.onnx", nodes, weights)
    proto = onnx.load(source.path)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([-1, 2, 4, 4]), "shape"))
    onnx.save(proto, source.path)
    made = compile_at(source, Precision.INT8, tmp_path, calibration_method=method, check=False)
    stored = stored_codes(made)
    for name, (_, codes) in grids.items():
        assert np.array_equal(stored[f"{name}_quantized"], codes), name


def test_dynamic_products_have_the_same_grid(tmp_path):
    weight, codes = on_grid((32, 32), 1)
    source = write(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight})
    stored = stored_codes(compile_at(source, Precision.INT8_DYNAMIC, tmp_path))
    assert np.array_equal(stored["w_quantized"], codes)


def test_other_grids_do_not_come_back(tmp_path):
    """What the docstring promises is all: 127 levels are rounded to 64."""
    weight = (RNG.integers(-127, 128, (32, 32)) / np.float32(127)).astype(np.float32)
    weight[0] = 1.0
    source = write(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight})
    stored = stored_codes(compile_at(source, Precision.INT8, tmp_path))
    assert np.abs(stored["w_quantized"] / 64 - weight).max() > 0.003


def activation_scale(artifact, name):
    graph = onnx.load(artifact.path).graph
    return float(next(numpy_helper.to_array(t) for t in graph.initializer if t.name == f"{name}_scale"))


def test_calibration_methods_clip_outliers_differently(tmp_path):
    """One value in 20,000 is 100 times as large as the others."""
    samples = RNG.uniform(-1, 1, (2048, 32)).astype(np.float32)
    samples[1::512, 0] = 100.0
    samples[1::512, 1] = -90.0
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Reshape", ["h", "s"], ["y"])]
    source = write(tmp_path / "m.onnx", nodes, {"w": np.eye(32)})
    proto = onnx.load(source.path)
    proto.graph.initializer.append(numpy_helper.from_array(np.array([-1, 32]), "s"))
    onnx.save(proto, source.path)
    scales = {}
    for method in ("minmax", "percentile", "entropy"):
        folder = tmp_path / method
        folder.mkdir()
        settings = CompileSettings(precision=Precision.INT8, batch=8, calibration_method=method, check=False)
        artifact = BACKEND.compile(source, settings, {"x": samples}, folder)
        scales[method] = activation_scale(artifact, "x")
    assert scales["minmax"] == pytest.approx(190 / 255, rel=1e-3)
    assert scales["percentile"] < 0.99 * scales["minmax"]
    assert scales["entropy"] < 0.5 * scales["minmax"]


@pytest.mark.parametrize(
    "precision",
    [p for p in Precision if str(p) in ("bf16", "fp8", "int16x8")],
    ids=str,
)
def test_precisions_without_kernels_are_refused(tmp_path, precision):
    with pytest.raises(UnsupportedError, match=f"ONNX Runtime has no {precision} kernels on the CPU"):
        compile_at(tied(tmp_path / "m.onnx"), precision, tmp_path)


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
@pytest.mark.parametrize("hidden", [-1e4, np.finfo(np.float32).min, -np.inf])
def test_masked_attention_survives(tmp_path, hidden, method):
    """Eight bits from `hidden` to 3 would have one level for all that is not hidden."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["scores"]),
        helper.make_node("Less", ["x", "limit"], ["masked"]),
        helper.make_node("Where", ["masked", "hidden", "scores"], ["open"]),
        helper.make_node("Softmax", ["open"], ["shares"]),
        helper.make_node("MatMul", ["shares", "v"], ["y"]),
    ]
    weights = {"w": RNG.standard_normal((32, 32)) / 2, "v": RNG.standard_normal((32, 32))}
    weights |= {"limit": np.array(-0.5), "hidden": np.array(hidden)}
    artifact = compile_at(
        write(tmp_path / "m.onnx", nodes, weights), Precision.INT8, tmp_path, calibration_method=method
    )
    assert float(artifact.notes[0].split()[-5]) > (20 if method != "entropy" else 10), artifact.notes
    assert artifact.stored_as == {"w": "int8", "v": "int8"}
