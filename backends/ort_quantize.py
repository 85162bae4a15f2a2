"""ONNX to ONNX: a fixed batch, folded constants, and each precision that ONNX Runtime's CPU kernels have.

Needs numpy, onnx and onnxruntime. Every function takes a model that `prepared` gave and returns a new one.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from .contract import Array, CalibrationData, batches
from .onnx_inspect import fix_batch, in_fixed_order

_OLDEST_OPSET = 13  # per-channel QuantizeLinear came with opset 13
_BLOCK = 32  # weights that share a scale in int4: the block of ONNX Runtime's fastest CPU kernel


def with_batch(path: Path, batch: int) -> onnx.ModelProto:
    """The model as it is, with its batch fixed.

    A fixed batch lets ONNX Runtime fold shape arithmetic and choose kernels.

    Raises:
        UnsupportedError: an input has another batch fixed, or an axis without a size beside the batch.
    """
    proto = onnx.load(path)
    fix_batch(proto, batch)
    return proto


def prepared(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with constants folded and all shapes inferred.

    Without this step dynamic quantization of graphs from torch.export fails in shape inference.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    version = next(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx"))
    if version < _OLDEST_OPSET:
        proto = version_converter.convert_version(proto, 17)
    with tempfile.TemporaryDirectory() as folder:
        fixed, result = Path(folder) / "fixed.onnx", Path(folder) / "prepared.onnx"
        onnx.save(proto, fixed)
        quant_pre_process(fixed, result, skip_symbolic_shape=True)
        return in_fixed_order(onnx.load(result))


def to_fp16(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Weights and arithmetic in float16; inputs and outputs stay float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return in_fixed_order(convert_float_to_float16(proto, keep_io_types=True))


def to_int8(
    proto: onnx.ModelProto, data: CalibrationData, batch: int, method: str, per_channel: bool
) -> onnx.ModelProto:
    """Static quantization: int8 weights, uint8 activations, QuantizeLinear/DequantizeLinear pairs."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    methods = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "int8.onnx"

        def quantize(options: dict[str, bool]) -> None:
            quantize_static(
                onnx.ModelProto.FromString(proto.SerializeToString()),  # it changes what it is given
                result,
                _reader(data, batch),
                quant_format=QuantFormat.QDQ,
                per_channel=per_channel,
                # Without VNNI the u8 x s8 kernels add pairs of products in 16 bits and saturate; 7-bit
                # weights cannot. It costs no speed, and keeps accuracy the same with and without VNNI.
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=methods[method],
                extra_options=options,
            )

        try:
            quantize({})
        except ValueError as error:
            if "Too many bins" not in str(error):
                raise
            # Percentiles of absolute values need bins between the least and the largest, which an activation
            # that hardly varies leaves no room for. Those of signed values have bins on both sides of 0.
            quantize({"CalibTensorRangeSymmetric": False})
        return in_fixed_order(onnx.load(result))


def to_int8_dynamic(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Dynamic quantization: 8-bit weights, ranges of activations taken at run time.

    Convolutions get unsigned weights: their signed kernel is several times slower and saturates.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    proto = gemm_as_matmul(proto)
    convolves = any(node.op_type == "Conv" for node in proto.graph.node)
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "dynamic.onnx"
        quantize_dynamic(
            proto,
            result,
            weight_type=QuantType.QUInt8 if convolves else QuantType.QInt8,
            per_channel=not convolves,  # ConvInteger has one zero point for all channels
            reduce_range=not convolves,  # signed weights saturate without VNNI, see `to_int8`
        )
        return in_fixed_order(onnx.load(result))


def to_int4_weight(proto: onnx.ModelProto) -> onnx.ModelProto:
    """4-bit weights in blocks of 32 for matrix products and embeddings, arithmetic in float32.

    Convolutions keep their float weights.
    """
    from onnxruntime.quantization import QuantFormat
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    with _quiet():
        quantizer = MatMulNBitsQuantizer(
            gemm_as_matmul(proto),  # the quantizer passes over Gemm without a word
            bits=4,
            block_size=_BLOCK,
            is_symmetric=True,
            quant_format=QuantFormat.QOperator,
            op_types_to_quantize=("MatMul", "Gather"),
        )
        quantizer.process()
    return in_fixed_order(quantizer.model.model)


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
    read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
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
    plain = (
        settings.get("alpha", 1.0) == 1.0
        and settings.get("beta", 1.0) == 1.0
        and not settings.get("transA", 0)
        and weight in weights
    )
    if not plain:
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
    nodes = [helper.make_node("MatMul", [node.input[0], weight], [product], name=f"{name}_matmul")]
    if biased:
        nodes.append(helper.make_node("Add", [product, node.input[2]], [node.output[0]], name=f"{name}_add"))
    return nodes


def _reader(data: CalibrationData, batch: int) -> object:
    """A calibration reader over the samples, in feeds of the deployed batch."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds: Iterator[dict[str, Array]] = batches(data, batch)

        def get_next(self) -> dict[str, Array] | None:
            return next(self.feeds, None)

    return Reader()


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
