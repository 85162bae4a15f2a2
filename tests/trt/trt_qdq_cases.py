"""One quantized convolution, and every way to break TensorRT's rules with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments of `qdq_conv`, words of our rule, and words of the real parser where it refuses too."""

    change: dict[str, Any] = field(default_factory=dict)
    rule: str
    parser: str = ""


def qdq_conv(
    *,
    scale: Any = 0.02,
    zero: Any = 0,
    zero_type: Any = np.int8,
    weight_scale: Any = 0.01,
    weight_zero: Any = 0,
    axis: int | None = None,
    explicit_zero: bool = True,
    int32_bias: bool = False,
    cast: bool = False,
    computed_scale: bool = False,
    quantized_use: bool = False,
    activation_axis: bool = False,
    half_scale: bool = False,
    blocks: int = 0,
) -> onnx.ModelProto:
    """x -> Q -> DQ -> Conv(w -> Q -> DQ) -> y, with one thing changed."""
    weight = np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float32)
    scale = np.full(4, 0.02) if activation_axis else scale
    zero = np.zeros(4) if activation_axis else zero
    constants = {
        "w": weight, "s": np.asarray(scale, np.float16 if half_scale else np.float32),
        "z": np.asarray(zero, zero_type), "ws": np.asarray(weight_scale, np.float32),
        "wz": np.asarray(weight_zero, np.int8),
    }  # fmt: skip
    along = {} if axis is None else {"axis": axis}
    if blocks:
        along["block_size"] = blocks
    first = {"axis": 1} if activation_axis else {}
    zeros = ["z"] if explicit_zero else []
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", *zeros], ["xq"], name="q", **first),
        helper.make_node("DequantizeLinear", ["xq", "s", *zeros], ["xd"], name="dq", **first),
        helper.make_node("QuantizeLinear", ["w", "ws", "wz"], ["wq"], name="qw", **along),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], name="dqw", **along),
    ]
    inputs = ["xd", "wd"]
    if computed_scale:
        constants["s0"] = constants.pop("s")
        nodes.insert(0, helper.make_node("Abs", ["s0"], ["s"], name="abs"))
    if cast:
        nodes.append(helper.make_node("Cast", ["xd"], ["xc"], name="cast", to=TensorProto.FLOAT))
        inputs[0] = "xc"
    if int32_bias:
        constants |= {"b": np.zeros(8, np.int32), "bs": np.float32(0.001), "bz": np.int32(0)}
        nodes.append(helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], name="dqb"))
        inputs.append("bd")
    nodes.append(helper.make_node("Conv", inputs, ["y"], name="conv"))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    if quantized_use:
        nodes.append(helper.make_node("Flatten", ["xq"], ["f"], name="flat"))
        outputs.append(helper.make_tensor_value_info("f", TensorProto.INT8, None))
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [image], outputs, tensors)
    opset = 21 if blocks or half_scale else 17
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


CASES = {
    "zero point": Case(change={"zero": 3}, rule="every zero point must be 0", parser="Non-zero zero point"),
    "negative scale": Case(change={"scale": -0.02},
                           rule="every scale must be finite and above 0; found -0.02",
                           parser="Scale coefficients must all be positive"),
    "scale of zero": Case(change={"scale": 0.0}, rule="every scale must be finite and above 0",
                          parser="Scale coefficients must all be positive"),
    "scale not finite": Case(change={"scale": np.inf}, rule="every scale must be finite"),
    "int32 bias": Case(change={"int32_bias": True}, rule="int32 cannot be dequantized", parser="Int32"),
    "quantized bias": Case(change={"int32_bias": True}, rule="the bias must stay in float", parser="Int32"),
    "uint8": Case(change={"zero_type": np.uint8}, rule="must be int8, fp8, int4 or fp4; found uint8"),
    "no zero point": Case(change={"explicit_zero": False}, rule="zero point must be given explicitly"),
    "computed scale": Case(change={"computed_scale": True}, rule="the scale must be a constant"),
    "wrong number of scales": Case(
        change={"weight_scale": np.full(5, 0.01), "weight_zero": np.zeros(5), "axis": 0},
        rule="one per entry of axis 0; found [5]", parser="number of scales is not equal"),
    "sizes differ": Case(change={"weight_scale": np.full(8, 0.01), "axis": 0}, rule="must be of one size",
                         parser="must have the same volume"),
    "activation per channel": Case(change={"activation_axis": True}, rule="for constant weights alone"),
    "cast behind the pair": Case(change={"cast": True}, rule="no Cast may stand between"),
    "quantized tensor used": Case(change={"quantized_use": True},
                                  rule="must go to DequantizeLinear; found Flatten"),
    "scale of another type": Case(change={"half_scale": True},
                                  rule="must be of one type; found float16 and float",
                                  parser="must be of same type"),
    "blocks of int8": Case(change={"blocks": 2, "axis": 1, "weight_scale": np.full((8, 2, 3, 3), 0.01),
                                   "weight_zero": np.zeros((8, 2, 3, 3))},
                           rule="blocks of scales are for int4 and fp4 alone; found them on int8",
                           parser="blocking dimension must be"),
}  # fmt: skip
