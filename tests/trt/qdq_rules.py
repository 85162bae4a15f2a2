"""What TensorRT asks of QuantizeLinear/DequantizeLinear pairs: an oracle for the graphs that we hand to it.

Sources: the comments of IQuantizeLayer and IDequantizeLayer, TensorRT's documentation on explicit
quantization, and its ONNX parser. Of what the parser lets pass, only scales per channel on an activation make
TensorRT-RTX 1.7 run the layer in float (see `test_trt_rtx_builds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from paretune.backends.contract.backend import Array
from paretune.backends.trt.qdq import WEIGHTED, is_residual

if TYPE_CHECKING:
    import onnx

PAIR = ("QuantizeLinear", "DequantizeLinear")


def check_qdq(model: onnx.ModelProto) -> tuple[str, ...]:
    """Every violation, as "node: rule; found ...". Empty when TensorRT can take the graph's pairs."""
    graph = _Graph(model)
    found: list[str] = []
    for node in model.graph.node:
        for rule in _PAIR_RULES if node.op_type in PAIR else _NODE_RULES:
            found += [f"{node.name or node.op_type}: {problem}" for problem in rule(node, graph)]
    return tuple(found)


class _Graph:
    """Look-ups over a model: constants, makers, users, element types and shapes of tensors."""

    def __init__(self, model: onnx.ModelProto) -> None:
        import onnx

        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.types = {
            value.name: value.type.tensor_type
            for value in (*inferred.value_info, *inferred.input, *inferred.output)
        }
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.made_by = {name: node for node in model.graph.node for name in node.output}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            if node.op_type == "Constant":
                self.constants.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def rank(self, name: str) -> int | None:
        """Number of axes of a tensor, where it is known."""
        if name in self.constants:
            return len(self.constants[name].dims)
        kind = self.types.get(name)
        return len(kind.shape.dim) if kind is not None and kind.HasField("shape") else None

    def element(self, name: str) -> int:
        """Element type of a tensor; 0 where it is unknown."""
        if name in self.constants:
            return int(self.constants[name].data_type)
        return int(self.types[name].elem_type) if name in self.types else 0

    def array(self, name: str) -> Array:
        """The float values of a constant."""
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self.constants[name])).astype(np.float64)

    def origin(self, name: str) -> onnx.NodeProto | None:
        """The node that made a tensor, seen through pairs; None for inputs and constants."""
        maker = self.made_by.get(name)
        while maker is not None and maker.op_type in PAIR:
            maker = self.made_by.get(maker.input[0])
        return maker

    def is_weight(self, name: str) -> bool:
        """Whether a tensor is a constant, or one seen through QuantizeLinear."""
        maker = self.made_by.get(name)
        through = maker is not None and maker.op_type == "QuantizeLinear" and maker.input[0] in self.constants
        return name in self.constants or through


def _type_name(kind: int) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(kind)).lower() if kind else "unknown"


def _constant_scale(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    if len(node.input) < 3 or not node.input[2]:
        yield "the zero point must be given explicitly; found none"
    for what, name in zip(("scale", "zero point"), node.input[1:3], strict=False):
        if name and name not in graph.constants:
            yield f"the {what} must be a constant; found {name!r}, computed at run time"


def _scale_values(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    if node.input[1] not in graph.constants:
        return
    scale = graph.array(node.input[1])
    if not np.isfinite(scale).all() or (scale <= 0).any():
        yield f"every scale must be finite and above 0; found {float(scale.min()):g}"


def _zero_point(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    from onnx import TensorProto

    if len(node.input) < 3 or node.input[2] not in graph.constants:
        return
    allowed = (TensorProto.INT8, TensorProto.FLOAT8E4M3FN, TensorProto.INT4, TensorProto.FLOAT4E2M1)
    zero = graph.constants[node.input[2]]
    if zero.data_type not in allowed:
        yield f"zero points must be int8, fp8, int4 or fp4; found {_type_name(zero.data_type)}"
    elif graph.array(node.input[2]).any():
        yield "every zero point must be 0 (TensorRT quantizes symmetrically); found another value"
    scale = graph.constants.get(node.input[1])
    if scale is not None and np.prod(zero.dims) != np.prod(scale.dims):
        yield f"zero point and scale must be of one size; found {list(zero.dims)} and {list(scale.dims)}"


def _granularity(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    scale = graph.constants.get(node.input[1])
    numbers = {a.name: a.i for a in node.attribute}
    if scale is None or numbers.get("block_size", 0) or np.prod(scale.dims) == 1:
        return
    if not graph.is_weight(node.input[0]):
        yield "scales per channel are for constant weights alone; found them on an activation"
        return
    source = node.input[0]
    weight = source if source in graph.constants else graph.made_by[source].input[0]
    dims, axis = list(graph.constants[weight].dims), numbers.get("axis", 1)
    if not -len(dims) <= axis < len(dims) or dims[axis] != np.prod(scale.dims):
        yield f"scales must be one, or one per entry of axis {axis}; found {list(scale.dims)} for {dims}"


def _operand(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    from onnx import TensorProto

    kind = graph.element(node.input[0])
    if node.op_type == "DequantizeLinear" and kind == TensorProto.INT32:
        yield "int32 cannot be dequantized (a quantized bias?); keep it in float"
    if graph.rank(node.input[0]) == 0:
        yield "the tensor must have at least one axis; found a scalar"
    numbers = {a.name: a.i for a in node.attribute}
    narrow = graph.element(node.input[2]) if len(node.input) > 2 else 0
    if narrow == TensorProto.INT4 and not graph.is_weight(node.input[0]):
        yield "int4 is for constant weights alone; found it on an activation"
    if numbers.get("block_size", 0) and narrow not in (TensorProto.INT4, TensorProto.FLOAT4E2M1):
        yield f"blocks of scales are for int4 and fp4 alone; found them on {_type_name(narrow)}"


def _matching_types(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    if node.op_type != "QuantizeLinear":
        return
    value, scale = graph.element(node.input[0]), graph.element(node.input[1])
    if value and scale and value != scale:
        yield f"scale and input must be of one type; found {_type_name(scale)} and {_type_name(value)}"


def _pair_is_whole(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    if node.op_type != "QuantizeLinear":
        return
    for user in graph.users.get(node.output[0], ()):
        if user.op_type != "DequantizeLinear":
            yield f"its output must go to DequantizeLinear; found {user.op_type} {user.name!r}"


def _no_cast(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    if node.op_type not in WEIGHTED:
        return
    for name in node.input[:2]:
        cast = graph.made_by.get(name)
        before = graph.made_by.get(cast.input[0]) if cast is not None and cast.op_type == "Cast" else None
        if before is not None and before.op_type == "DequantizeLinear":
            yield f"no Cast may stand between DequantizeLinear and this layer; found it at {name!r}"


def _float_bias(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    if node.op_type in ("Conv", "ConvTranspose", "Gemm") and len(node.input) > 2:
        maker = graph.made_by.get(node.input[2])
        if maker is not None and maker.op_type in PAIR:
            yield "the bias must stay in float; found it quantized"


def _both_sides(node: onnx.NodeProto, graph: _Graph) -> Iterator[str]:
    if node.op_type != "Add" or any(name in graph.constants for name in node.input):
        return
    makers = [graph.made_by.get(name) for name in node.input]
    quantized = [maker is not None and maker.op_type == "DequantizeLinear" for maker in makers]
    origins = {name: graph.origin(name) for name in node.input}
    behind = {name: maker for name, maker in origins.items() if maker is not None}
    if any(quantized) and not all(quantized) and is_residual(node, behind, graph.constants):
        yield "a residual addition needs pairs on both inputs; found one"


_Rule = Callable[["onnx.NodeProto", _Graph], Iterator[str]]
_PAIR_RULES: tuple[_Rule, ...] = (
    _constant_scale, _scale_values, _zero_point, _granularity, _operand, _matching_types, _pair_is_whole
)  # fmt: skip
_NODE_RULES: tuple[_Rule, ...] = (_no_cast, _float_bias, _both_sides)
