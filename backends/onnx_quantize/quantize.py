"""ONNX to ONNX: a fixed batch, folded constants, and each precision that ONNX Runtime's CPU kernels have.

Needs numpy, onnx and onnxruntime. Every function takes a model that `prepared` gave and returns a new one.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..contract.backend import CalibrationData
from ..onnx_graph.inspect import in_fixed_order
from ..onnx_graph.layers import Graph, is_plain_gemm, name_nodes
from ..onnx_graph.prepare import modern
from ..onnx_graph.subgraphs import inner_reads_apart, names_read
from .by_channel import by_channel
from .int4 import keep_grid
from .limits import overrides, without_kernel
from .ranges import activation_ranges, masking_nodes

_PRODUCT = "_matmul"  # what a Gemm's name gets when its product becomes a node of its own
_LIKE_21 = 18  # the oldest opset whose operators are written as those of 21
BLOCK = 32  # weights that share a scale in int4: the block of ONNX Runtime's fastest CPU kernel


def prepared(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with constants folded and all shapes inferred.

    Without this step dynamic quantization of graphs from torch.export fails in shape inference.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    proto = modern(proto)
    with tempfile.TemporaryDirectory() as folder:
        fixed, result = Path(folder) / "fixed.onnx", Path(folder) / "prepared.onnx"
        onnx.save(proto, fixed)
        quant_pre_process(fixed, result, skip_symbolic_shape=True)
        return name_nodes(in_fixed_order(_without_fusion_names(onnx.load(result))))


def _without_fusion_names(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with new names for the constants that ONNX Runtime made as it fused products with sums.

    Loading the model fuses what is left, makes constants of the same names, and fails at the second.
    """
    made = ("gemm_input_shape", "gemm_output_shape")
    names = {t.name: f"prepared_{t.name}" for t in proto.graph.initializer if t.name.startswith(made)}
    for tensor in proto.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in proto.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    return proto


def to_int8(
    proto: onnx.ModelProto,
    data: CalibrationData,
    batch: int,
    method: str,
    per_channel: bool,
    keep: Collection[str] = (),
) -> onnx.ModelProto:
    """Static quantization: int8 weights, uint8 activations, QuantizeLinear/DequantizeLinear pairs.

    Weights are symmetric with 7 bits: for each output channel `scale = absmax / 64` in float32, and codes
    are whole numbers from -64 to 64 (both ends). So weights that are `q * absmax / 64`, where some |q| of the
    channel is 64, come back exactly; other grids (absmax / 127, absmax / 63) do not. Output channels are axis
    0 of Conv and of Gemm with transB, axis 1 of ConvTranspose, and the columns of MatMul and other Gemm;
    without `per_channel`, and for some (see `limits.py`), the whole tensor is one. Embeddings are uint8 with
    one scale and zero point. `keep` names nodes that stay in float.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import save_tensors_data

    proto = in_fixed_order(inner_reads_apart(proto))
    # Ranges of masks are computed with, though not used: infinity minus infinity is no cause for a warning.
    with _quiet(), np.errstate(invalid="ignore"), tempfile.TemporaryDirectory() as folder:
        result, ranges = Path(folder) / "int8.onnx", Path(folder) / "ranges.json"
        found = activation_ranges(proto, data, batch, method)
        save_tensors_data(found, ranges)
        quantize_static(
            onnx.ModelProto.FromString(proto.SerializeToString()),  # it changes what it is given
            result,
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            # Without VNNI the u8 x s8 kernels add pairs of products in 16 bits and saturate; 7-bit
            # weights cannot. It costs no speed, and keeps accuracy the same with and without VNNI.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[*keep, *masking_nodes(proto, found), *without_kernel(Graph(proto))],
            extra_options={"TensorQuantOverrides": overrides(proto)} if per_channel else {},
            calibrate_method=CalibrationMethod.MinMax,  # how the ranges were found does not matter here
            calibration_cache_path=ranges,
        )
        return in_fixed_order(onnx.load(result))


def to_int8_dynamic(proto: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """Dynamic quantization: 8-bit weights, ranges of activations taken at run time.

    Convolutions get unsigned weights: their signed kernel is several times slower and saturates. Their kernel
    has one zero point for all channels, so the quantizer gives them one scale as well; `by_channel` gives
    each channel its own. Without convolutions weights are on the same grid as in `to_int8`. `keep` names
    nodes that stay in float.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    proto = gemm_as_matmul(proto)
    convolves = any(node.op_type == "Conv" and node.name not in keep for node in proto.graph.node)
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "dynamic.onnx"
        quantize_dynamic(
            proto,
            result,
            weight_type=QuantType.QUInt8 if convolves else QuantType.QInt8,
            per_channel=not convolves,
            reduce_range=not convolves,  # signed weights saturate without VNNI, see `to_int8`
            nodes_to_exclude=_split_names(keep),
        )
        made = onnx.load(result)
    return in_fixed_order(by_channel(made, proto) if convolves else made)


def to_int4_weight(proto: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """4-bit weights in blocks of 32 for matrix products and embeddings, arithmetic in float32.

    Weights that quantization-aware training put on a grid of each output channel stay on it (see
    `int4.py`). Convolutions keep their float weights. `keep` names nodes that stay in float.
    """
    from onnxruntime.quantization import QuantFormat
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    source = gemm_as_matmul(proto)  # the quantizer passes over Gemm without a word
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.graph.initializer}
    with _quiet():
        quantizer = MatMulNBitsQuantizer(
            source,
            bits=4,
            block_size=BLOCK,
            is_symmetric=True,
            quant_format=QuantFormat.QOperator,
            op_types_to_quantize=("MatMul", "Gather"),
            nodes_to_exclude=_split_names(keep),
        )
        quantizer.process()
    return in_fixed_order(keep_grid(_own_opset(quantizer.model.model, proto), weights))


def _own_opset(proto: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """Undo that the quantizer stamps opset 21 on operators of an older one, which changed meanwhile: its own
    are those of com.microsoft, and need none."""
    old = {opset.domain: opset.version for opset in source.opset_import}
    for opset in proto.opset_import:
        if opset.domain in ("", "ai.onnx") and old[opset.domain] < _LIKE_21:
            opset.version = old[opset.domain]
    return proto


def _split_names(keep: Collection[str]) -> list[str]:
    """The names that nodes have after `gemm_as_matmul`, beside those that they had."""
    return [*keep, *(f"{name}{_PRODUCT}" for name in keep)]


def gemm_as_matmul(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Every plain Gemm as MatMul and Add, which is what the weight quantizers look for.

    ONNX Runtime's own rewriting transposes a weight in place even where other nodes read it too, which
    silently breaks models with tied (or equal, hence merged) weights.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    graph = result.graph
    nodes: list[onnx.NodeProto] = []
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        nodes.extend(_split_gemm(node, weights) if node.op_type == "Gemm" else [node])
    read = {name for node in nodes for name in names_read(node)} | {value.name for value in graph.output}
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    kept = [onnx.TensorProto.FromString(t.SerializeToString()) for n, t in weights.items() if n in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return result


def _split_gemm(node: onnx.NodeProto, weights: dict[str, TensorProto]) -> list[onnx.NodeProto]:
    """MatMul and Add for a Gemm whose weight is constant; a transposed weight is added to `weights`."""
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    weight = node.input[1]
    if weight not in weights or not is_plain_gemm(node):
        return [node]
    if settings.get("transB", 0):
        turned = f"{weight}_transposed"
        if turned not in weights:
            array = np.ascontiguousarray(numpy_helper.to_array(weights[weight]).T)
            weights[turned] = numpy_helper.from_array(array, turned)
        weight = turned
    biased = len(node.input) > 2 and node.input[2]
    product = f"{node.output[0]}_product" if biased else node.output[0]
    name = node.name or node.output[0]
    nodes = [helper.make_node("MatMul", [node.input[0], weight], [product], name=f"{name}{_PRODUCT}")]
    if biased:
        nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]], name=f"{name}_add"))
    return nodes


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantizers: advice to run what was run already, and progress on stdout."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(level)
