"""Mixed precision on ONNX Runtime: which layers there are, what stays in float, what is read back."""

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.contract.compiling import check_zeros, coverage_note
from paretune.backends.onnx_graph.layers import find_layers, name_nodes
from paretune.backends.onnx_graph.stored import stored_as, unpacked, zero_share
from paretune.backends.ort.backend import OrtBackend
from paretune.backends.trt.backend import TrtBackend
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.profiles.precision import Precision

BACKEND = OrtBackend()
RNG = np.random.default_rng(0)
QUANTIZED = (Precision.INT8, Precision.INT8_DYNAMIC, Precision.INT4_WEIGHT)


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def node(kind, inputs, output, **settings):
    return helper.make_node(kind, inputs.split(), [output], name=f"node_{output}", **settings)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32) / np.float32(np.sqrt(shape[-1]))


def write(folder, nodes, weights, inputs, outputs):
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    proto.ir_version = 8
    onnx.save(proto, folder / "source.onnx")
    return SourceModel(path=folder / "source.onnx", format="onnx")


def residual(folder):
    """A convolution, a block whose two paths are added, and a classifier."""
    nodes = [
        node("Conv", "x stem.weight stem.bias", "stem", pads=[1] * 4),
        node("Relu", "stem", "stem_relu"),
        node("Conv", "stem_relu first.weight", "first", pads=[1] * 4),
        node("Relu", "first", "first_relu"),
        node("Conv", "first_relu second.weight", "second", pads=[1] * 4),
        node("Conv", "stem_relu skip.weight", "skip"),
        node("Add", "second skip", "sum"),
        node("Relu", "sum", "sum_relu"),
        node("GlobalAveragePool", "sum_relu", "pooled"),
        node("Flatten", "pooled", "flat"),
        node("Gemm", "flat classifier.weight classifier.bias", "y", transB=1),
    ]
    weights = {
        "stem.weight": normal(8, 1, 3, 3), "stem.bias": normal(8), "first.weight": normal(8, 8, 3, 3),
        "second.weight": normal(8, 8, 3, 3), "skip.weight": normal(8, 8, 1, 1),
        "classifier.weight": normal(5, 8), "classifier.bias": normal(5),
    }  # fmt: skip
    return write(folder, nodes, weights, [value("x", ["n", 1, 8, 8])], [value("y", ["n", 5])])


def attention(folder):
    """An embedding, three projections of one input, and a product of activations."""
    nodes = [
        node("Gather", "words.weight ids", "e"),
        *(node("MatMul", f"e {name}.weight", f"{name}_product") for name in "qkv"),
        *(node("Add", f"{name}_product {name}.bias", name) for name in "qkv"),
        node("Transpose", "k", "turned", perm=[0, 2, 1]),
        node("MatMul", "q turned", "scores"),
        node("Softmax", "scores", "shares"),
        node("MatMul", "shares v", "mixed"),
        node("MatMul", "mixed out.weight", "y"),
    ]
    weights = {"words.weight": normal(40, 32), "out.weight": normal(32, 32)}
    weights |= {f"{name}.weight": normal(32, 32) for name in "qkv"}
    weights |= {f"{name}.bias": normal(32) for name in "qkv"}
    return write(
        folder, nodes, weights, [value("ids", ["n", 6], TensorProto.INT64)], [value("y", ["n", 6, 32])]
    )


IMAGES = {"x": RNG.standard_normal((16, 1, 8, 8)).astype(np.float32)}
TEXTS = {"ids": RNG.integers(0, 40, (16, 6))}


def compiled(source, precision, data, keep=(), batch=4):
    folder = source.path.parent / f"{precision}-{batch}-{'-'.join(keep).replace('/', '_')}"
    folder.mkdir(exist_ok=True)
    settings = CompileSettings(precision=precision, batch=batch, keep_float=tuple(keep))
    return BACKEND.compile(source, settings, data, folder)


def operators(artifact):
    return Counter(node.op_type for node in onnx.load(artifact.path).graph.node)


def grouped(source, precision):
    return [set(group.layers) for group in BACKEND.layers(source, precision)]


def test_convolutions_that_are_added_go_together(tmp_path):
    groups = BACKEND.layers(residual(tmp_path), Precision.INT8)
    found = {frozenset(group.layers): group.weights for group in groups}
    assert found == {
        frozenset({"stem"}): 72,
        frozenset({"first"}): 576,
        frozenset({"second", "skip"}): 640,
        frozenset({"classifier"}): 40,
    }
    (pair,) = (group for group in groups if len(group.layers) == 2)
    assert pair.name == f"{pair.layers[0]} and 1 more"


def test_projections_of_one_input_go_together_where_activations_are_quantized(tmp_path):
    source = attention(tmp_path)
    together = [{"words"}, {"q", "k", "v"}, {"out"}]
    assert grouped(source, Precision.INT8) == together
    assert grouped(source, Precision.INT8_DYNAMIC) == together
    assert sorted(map(sorted, grouped(source, Precision.INT4_WEIGHT))) == [
        ["k"], ["out"], ["q"], ["v"], ["words"],
    ]  # fmt: skip


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16], ids=str)
def test_float_precisions_have_no_groups_and_keep_nothing(tmp_path, precision):
    source = residual(tmp_path)
    assert BACKEND.layers(source, precision) == ()
    with pytest.raises(
        UnsupportedError, match=f"int8, int8-dynamic, int8-weight, int4-weight, not at {precision}$"
    ):
        compiled(source, precision, IMAGES, keep=["stem"])


@pytest.mark.slow
@pytest.mark.parametrize("precision", QUANTIZED, ids=str)
def test_the_groups_are_what_the_quantizer_reaches_and_each_can_be_kept(tmp_path, precision):
    source = attention(tmp_path)
    groups = BACKEND.layers(source, precision)
    names = {name for group in groups for name in group.layers}
    plain = compiled(source, precision, TEXTS)
    assert {name for name, kind in plain.stored_as.items() if kind != "float32"} == names
    for group in groups:
        kept = compiled(source, precision, TEXTS, keep=group.layers)
        assert {name for name, kind in kept.stored_as.items() if kind == "float32"} == set(group.layers)
        bytes_more = kept.weight_bytes["float32"] - plain.weight_bytes.get("float32", 0)
        assert bytes_more > 2 * group.weights


def test_names_do_not_depend_on_the_batch(tmp_path):
    source = residual(tmp_path)
    for batch in (1, 16):
        kept = compiled(source, Precision.INT8, IMAGES, keep=["second", "skip"], batch=batch)
        assert kept.stored_as["second"] == kept.stored_as["skip"] == "float32"


def test_a_fixed_batch_of_the_source_is_no_hindrance(tmp_path):
    source = residual(tmp_path)
    free = BACKEND.layers(source, Precision.INT8)
    proto = onnx.load(source.path)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(proto, source.path)
    assert BACKEND.layers(source, Precision.INT8) == free


def test_nothing_around_kept_layers_is_quantized(tmp_path):
    """One quantized convolution is left: its input and its output are all that is converted."""
    source = residual(tmp_path)
    kept = compiled(source, Precision.INT8, IMAGES, keep=["first", "skip", "classifier", "stem"])
    found = operators(kept)
    assert (found["QuantizeLinear"], found["DequantizeLinear"]) == (2, 3)
    assert found["Relu"] == 3


def test_the_activation_of_a_quantized_layer_stays_in_its_kernel(tmp_path):
    source = residual(tmp_path)
    plain = operators(compiled(source, Precision.INT8, IMAGES))
    kept = operators(compiled(source, Precision.INT8, IMAGES, keep=["classifier"]))
    assert (plain["QuantizeLinear"], plain["Relu"]) == (9, 0)
    # What follows the two convolutions of the sum, up to the classifier, is float as well now.
    assert (kept["QuantizeLinear"], kept["Relu"]) == (5, 1)


def test_attention_without_its_projections_is_float(tmp_path):
    kept = compiled(attention(tmp_path), Precision.INT8, TEXTS, keep=["q", "k", "v"])
    graph = onnx.load(kept.path).graph
    restored = {name for n in graph.node if n.op_type == "DequantizeLinear" for name in n.output}
    for node in graph.node:
        if node.op_type in ("Softmax", "Transpose") or node.name in ("node_scores", "node_mixed"):
            assert not restored & set(node.input), node.name


def test_kept_layers_are_more_exact(tmp_path):
    source = residual(tmp_path)
    plain = compiled(source, Precision.INT8, IMAGES)
    kept = compiled(source, Precision.INT8, IMAGES, keep=["first", "second", "skip", "classifier"])
    plain_db, kept_db = (float(artifact.notes[0].split()[-5]) for artifact in (plain, kept))
    assert kept_db > plain_db + 3


def test_dynamic_products_are_signed_again_once_all_convolutions_are_kept(tmp_path):
    source = residual(tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    settings = CompileSettings(precision=Precision.INT8_DYNAMIC, batch=4)
    assert BACKEND.compile(source, settings, None, folder).stored_as["classifier"] == "uint8"
    keep = ("stem", "first", "second", "skip")
    with pytest.raises(UnsupportedError, match=r"left to \d\.\d % of the weights, at least 5 % are needed"):
        compiled(source, Precision.INT8_DYNAMIC, IMAGES, keep=keep)


def test_unknown_layers_are_named_with_those_that_exist(tmp_path):
    with pytest.raises(ValueError, match=r"no layers of this model: tail; it has stem, .*classifier"):
        compiled(residual(tmp_path), Precision.INT8, IMAGES, keep=["stem", "tail"])


def test_tensorrt_names_layers_as_the_others_do(tmp_path):
    source = residual(tmp_path)
    for precision in (Precision.INT8, Precision.FP8):
        assert TrtBackend().layers(source, precision) == OrtBackend().layers(source, Precision.INT8)
    assert TrtBackend().layers(source, Precision.INT4_WEIGHT) == ()
    assert TrtBackend().layers(source, Precision.FP16) == ()


def test_tied_weights_are_one_layer(tmp_path):
    nodes = [node("Gemm", "x w b", "h", transB=1), node("Relu", "h", "r"), node("Gemm", "r w", "y", transB=1)]
    weights = {"w": normal(32, 32), "b": normal(32)}
    source = write(tmp_path, nodes, weights, [value("x", ["n", 32])], [value("y", ["n", 32])])
    (layer,) = find_layers(onnx.load(source.path))
    assert (layer.name, layer.nodes, layer.weights) == ("w", ("node_h", "node_y"), 1024)
    for precision in QUANTIZED:
        assert grouped(source, precision) == [{"w"}]


@pytest.mark.parametrize(
    ("weight", "bias", "name"),
    [
        ("model.block.0.weight", "", "block.0"),
        ("in_proj_weight", "", "in_proj"),
        ("val_12", "model.head.bias", "head"),
        ("onnx::MatMul_77", "encoder.query.bias", "encoder.query"),
        ("onnx::MatMul_77", "val_3", "node_h"),
        ("ConvMulFusion_W_features.0.weight", "", "features.0"),
    ],
)
def test_layers_are_named_as_the_module_is(weight, bias, name):
    nodes = [node("MatMul", f"x {weight}", "h"), *([node("Add", f"h {bias}", "y")] if bias else [])]
    weights = {weight: normal(4, 4)} | ({bias: normal(4)} if bias else {})
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    last = value("y" if bias else "h", [1, 4])
    graph = helper.make_graph(nodes, "g", [value("x", [1, 4])], [last], constants)
    assert [layer.name for layer in find_layers(helper.make_model(graph))] == [name]


def test_two_layers_never_share_a_name():
    nodes = [node("MatMul", "x a.weight", "h"), node("MatMul", "h a", "y")]
    constants = [numpy_helper.from_array(normal(4, 4), name) for name in ("a.weight", "a")]
    graph = helper.make_graph(nodes, "g", [value("x", [1, 4])], [value("y", [1, 4])], constants)
    assert [layer.name for layer in find_layers(helper.make_model(graph))] == ["a.weight", "a"]


def test_nameless_and_doubly_named_nodes_get_names():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"], name="same"),
        helper.make_node("Relu", ["b"], ["c"], name="same"),
        helper.make_node("Relu", ["c"], ["d"], name="own"),
    ]
    proto = name_nodes(helper.make_model(helper.make_graph(nodes, "g", [], [])))
    assert [n.name for n in proto.graph.node] == ["Relu_a", "Relu_b", "Relu_c", "own"]


def test_coverage_in_words(tmp_path):
    kept = compiled(residual(tmp_path), Precision.INT8, IMAGES, keep=["classifier"])
    assert kept.notes[-1] == "int8: 4 of 5 layers, 97.0 % of the weights; float32: classifier"
    layers = find_layers(onnx.load(residual(tmp_path).path))
    stored = {layer.name: "int4" if layer.name == "first" else "float32" for layer in layers}
    sizes = {layer.name: layer.weights for layer in layers}
    assert coverage_note(stored, sizes).endswith("; float32: stem, second, skip, classifier")
    assert coverage_note(dict.fromkeys(stored, "float32"), sizes) == ""


def sparse(share, *shape):
    return normal(*shape) * (RNG.random(shape) >= share).astype(np.float32)


def product(folder, weight):
    """One matrix product."""
    rows, columns = weight.shape
    return write(
        folder,
        [node("MatMul", "x w", "y")],
        {"w": weight},
        [value("x", ["n", rows])],
        [value("y", ["n", columns])],
    )


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, *QUANTIZED], ids=str)
def test_zeros_survive_and_are_counted_as_they_are_stored(tmp_path, precision):
    """40 inputs fill one block of 4-bit weights and a quarter of the next, whose padding is no weight."""
    weight = sparse(0.5, 40, 24)
    data = {"x": RNG.standard_normal((8, 40)).astype(np.float32)}
    artifact = compiled(product(tmp_path, weight), precision, data)
    own = float(np.mean(weight == 0))
    assert own <= artifact.zero_share < own + (0.15 if precision is Precision.INT4_WEIGHT else 0.03)
    if precision in (Precision.FP32, Precision.FP16):
        assert artifact.zero_share == own


def test_zeros_of_unsigned_weights_are_their_zero_point(tmp_path):
    kernel = sparse(0.7, 8, 1, 3, 3) + np.float32(0)
    kernel[0, 0, 0, 0] = 2.0  # lopsided, so that the zero point is not in the middle
    nodes = [node("Conv", "x kernel", "c"), node("Flatten", "c", "y")]
    inputs, outputs = [value("x", ["n", 1, 8, 8])], [value("y", ["n", 288])]
    source = write(tmp_path, nodes, {"kernel": kernel}, inputs, outputs)
    artifact = compiled(source, Precision.INT8_DYNAMIC, IMAGES)
    assert artifact.stored_as == {"kernel": "uint8"}
    assert float(np.mean(kernel == 0)) <= artifact.zero_share < 0.85


def test_an_artifact_that_lost_its_zeros_fails():
    """A file with a zero point that stands for none of its weights."""
    weight = RNG.integers(0, 2, (16, 16)).astype(np.float32)
    graph = helper.make_graph(
        [node("MatMul", "x w", "y")], "g", [value("x", [1, 16])], [value("y", [1, 16])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    source = helper.make_model(graph)
    stored = helper.make_model(graph)
    del stored.graph.initializer[:]
    codes, point = (weight * 60 + 3).astype(np.uint8), np.array(7, np.uint8)
    stored.graph.initializer.append(numpy_helper.from_array(codes, "w_quantized"))
    stored.graph.initializer.append(numpy_helper.from_array(point, "w_zero_point"))
    layers = find_layers(source)
    before, after = zero_share(source, layers), zero_share(stored, layers)
    assert (before, after) == (float(np.mean(weight == 0)), 0.0)
    with pytest.raises(
        StageError, match=rf"{100 * before:.1f} % of the weights of w were zero, 0\.0 % are in"
    ):
        check_zeros({"w": (before, after)})


@pytest.mark.parametrize(("source", "artifact"), [(0.04, 0.0), (0.5, 0.495), (0.5, 0.9)])
def test_dense_models_and_small_differences_pass(source, artifact):
    check_zeros({"w": (source, artifact)})


def test_a_weight_that_is_stored_twice_says_so(tmp_path):
    source = product(tmp_path, normal(16, 16))
    layers = find_layers(onnx.load(source.path))
    proto = onnx.load(source.path)
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((16, 16), np.int8), "w_quantized"))
    assert stored_as(proto, layers) == {"w": "float32+int8"}


def on_grid(levels, *shape, axis=-1):
    """Weights on the grid absmax / levels of each channel; most of a channel is far below its largest."""
    codes = RNG.integers(-2, 3, shape)
    channels = np.moveaxis(codes, axis, 0)
    for channel in channels:
        channel.flat[RNG.integers(channel.size)] = levels * RNG.choice([-1, 1])
    largest = RNG.uniform(0.01, 0.5, len(channels)).astype(np.float32)
    broadcast = [-1 if one == axis % len(shape) else 1 for one in range(len(shape))]
    return (codes * (largest.reshape(broadcast) / np.float32(levels))).astype(np.float32), codes


def weights_of(artifact):
    """The float weight that the kernel of 4-bit products computes with."""
    graph = onnx.load(artifact.path).graph
    constant = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    codes, scales = unpacked(constant["w_Q4"]), constant["w_scales"]
    return (codes.reshape(*scales.shape, -1) * scales[..., None]).reshape(len(codes), -1).T


@pytest.mark.parametrize("rows", [64, 40, 12])
def test_a_trained_four_bit_grid_is_kept(tmp_path, rows):
    weight, codes = on_grid(7, rows, 24)
    data = {"x": RNG.standard_normal((8, rows)).astype(np.float32)}
    artifact = compiled(product(tmp_path, weight), Precision.INT4_WEIGHT, data)
    assert np.array_equal(weights_of(artifact)[:rows], weight)
    assert artifact.zero_share == float(np.mean(codes == 0))
    with BACKEND.open(artifact.path, 4, 1) as session:
        got = session.run({"x": data["x"][:4]})["y"]
    assert np.allclose(got, data["x"][:4] @ weight, atol=1e-5)


def test_weights_off_the_grid_get_a_scale_for_each_block(tmp_path):
    weight, _ = on_grid(7, 64, 24)
    weight[5, 5] *= 1.1
    data = {"x": RNG.standard_normal((8, 64)).astype(np.float32)}
    artifact = compiled(product(tmp_path, weight), Precision.INT4_WEIGHT, data)
    scales = next(t for t in onnx.load(artifact.path).graph.initializer if t.name == "w_scales")
    first, second = numpy_helper.to_array(scales).T
    assert not np.array_equal(first, second)
    assert not np.array_equal(weights_of(artifact), weight)


def test_a_channel_of_zeros_stays_zero(tmp_path):
    weight, _ = on_grid(7, 64, 24)
    weight[:, 3] = 0
    data = {"x": RNG.standard_normal((8, 64)).astype(np.float32)}
    artifact = compiled(product(tmp_path, weight), Precision.INT4_WEIGHT, data)
    assert np.array_equal(weights_of(artifact), weight)


def test_a_grid_of_each_word_is_kept(tmp_path):
    """96 numbers a word are three blocks; the scale of a word is that of its row."""
    table, _ = on_grid(7, 40, 96, axis=0)
    source = write(
        tmp_path,
        [node("Gather", "table ids", "e"), node("ReduceMean", "e axes", "y", keepdims=0)],
        {"table": table, "axes": np.array([1])},
        [value("ids", ["n", 6], TensorProto.INT64)],
        [value("y", ["n", 96])],
    )
    artifact = compiled(source, Precision.INT4_WEIGHT, TEXTS)
    assert artifact.stored_as == {"table": "int4"}
    with BACKEND.open(artifact.path, 4, 1) as session:
        got = session.run({"ids": TEXTS["ids"][:4]})["y"]
    assert np.allclose(got, table[TEXTS["ids"][:4]].mean(axis=1), atol=1e-6)
