"""Operators that work element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional as F

from .operators import MICROSOFT, Node, operator, simple

DTYPES = {
    TensorProto.FLOAT: torch.float32, TensorProto.DOUBLE: torch.float32, TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16, TensorProto.INT64: torch.int64, TensorProto.INT32: torch.int32,
    TensorProto.INT16: torch.int16, TensorProto.INT8: torch.int8, TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}  # fmt: skip
"""ONNX's types as PyTorch's. Runtimes that read PyTorch have no float64, whose place float32 takes."""

simple(
    {
        "Abs": torch.abs, "Neg": torch.neg, "Exp": torch.exp, "Log": torch.log, "Sqrt": torch.sqrt,
        "Reciprocal": torch.reciprocal, "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round,
        "Sign": torch.sign, "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Asin": torch.asin,
        "Acos": torch.acos, "Atan": torch.atan, "Sinh": torch.sinh, "Cosh": torch.cosh, "Tanh": torch.tanh,
        "Asinh": torch.asinh, "Acosh": torch.acosh, "Atanh": torch.atanh, "Erf": torch.erf,
        "Sigmoid": torch.sigmoid, "Relu": torch.relu, "Not": torch.logical_not, "IsNaN": torch.isnan,
        "Softplus": F.softplus, "Softsign": F.softsign, "HardSwish": F.hardswish, "Mish": F.mish,
        "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "And": torch.logical_and,
        "Or": torch.logical_or, "Xor": torch.logical_xor, "Equal": torch.eq, "Greater": torch.gt,
        "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le, "Where": torch.where,
        "BitwiseAnd": torch.bitwise_and,
        "BitwiseOr": torch.bitwise_or, "BitwiseXor": torch.bitwise_xor, "BitwiseNot": torch.bitwise_not,
    }
)  # fmt: skip


@operator("Identity")
def _identity(_: Node, x: Tensor) -> Tensor:
    return x


@operator("Dropout", static=(1, 2))
def _dropout(node: Node, x: Tensor, ratio: Any = None, training: Any = None) -> tuple[Tensor, ...]:
    if training is not None and bool(training) and (ratio is None or float(ratio) > 0):
        raise node.refused("it drops at random")
    return (x, torch.ones_like(x, dtype=torch.bool))[: node.outputs]


@operator("Div")
def _div(_: Node, a: Tensor, b: Tensor) -> Tensor:
    whole = not (a.is_floating_point() or b.is_floating_point())
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


@operator("Mod")
def _mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


@operator("Pow")
def _pow(_: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, b).to(a.dtype)


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda *inputs: reduce(function, inputs)


simple({"Min": _folded(torch.minimum), "Max": _folded(torch.maximum), "Sum": _folded(torch.add)})


@operator("Mean")
def _mean(_: Node, *inputs: Tensor) -> Tensor:
    return reduce(torch.add, inputs) / len(inputs)


@operator("Clip", static=(1, 2))
def _clip(node: Node, x: Tensor, least: Any = None, most: Any = None) -> Tensor:
    low, high = (None if one is None else one.item() for one in (least, most))
    if (low, high) == (0, 6):
        return F.relu6(x)
    return x if low is None and high is None else torch.clamp(x, low, high)


@operator("ClipBetween")
def _clip_between(_: Node, x: Tensor, least: Tensor | None = None, most: Tensor | None = None) -> Tensor:
    """`Clip` by what depends on the input."""
    x = x if least is None else torch.maximum(x, least)
    return x if most is None else torch.minimum(x, most)


@operator("Cast")
def _cast(node: Node, x: Tensor) -> Tensor:
    dtype = DTYPES.get(node.get("to"))
    if dtype is None:
        raise node.refused(f"it casts to {TensorProto.DataType.Name(node.get('to'))}")
    return x.to(dtype)


@operator("CastLike")
def _cast_like(_: Node, x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


@operator("PRelu")
def _prelu(_: Node, x: Tensor, slope: Tensor) -> Tensor:
    """Not F.prelu: slopes may have any shape that broadcasts."""
    if slope.numel() > 1 and slope.ndim == x.ndim - 1 and slope.shape[0] == slope.numel() == x.shape[1]:
        return F.prelu(x, slope.reshape(-1))
    return torch.where(x < 0, x * slope, x)


@operator("LeakyRelu")
def _leaky_relu(node: Node, x: Tensor) -> Tensor:
    return F.leaky_relu(x, node.get("alpha", 0.01))


@operator("Elu")
def _elu(node: Node, x: Tensor) -> Tensor:
    return F.elu(x, node.get("alpha", 1.0))


@operator("Celu")
def _celu(node: Node, x: Tensor) -> Tensor:
    return F.celu(x, node.get("alpha", 1.0))


@operator("Selu")
def _selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha", 1.6732632), node.get("gamma", 1.0507009)
    below = alpha * (torch.exp(torch.clamp(x, max=0.0)) - 1)
    return torch.where(x > 0, x, below) * float(gamma)


@operator("HardSigmoid")
def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.clamp(node.get("alpha", 0.2) * x + node.get("beta", 0.5), 0.0, 1.0)


@operator("ThresholdedRelu")
def _thresholded_relu(node: Node, x: Tensor) -> Tensor:
    return torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x))


@operator("Shrink")
def _shrink(node: Node, x: Tensor) -> Tensor:
    limit, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    zero = torch.zeros_like(x)
    return torch.where(x < -limit, x + bias, torch.where(x > limit, x - bias, zero))


@operator("Gelu")
def _gelu(node: Node, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=node.get("approximate", "none"))


@operator("Swish")
def _swish(node: Node, x: Tensor) -> Tensor:
    return x * torch.sigmoid(node.get("alpha", 1.0) * x)


@operator("IsInf")
def _is_inf(node: Node, x: Tensor) -> Tensor:
    up, down = node.get("detect_positive", 1), node.get("detect_negative", 1)
    return ((x == math.inf) & bool(up)) | ((x == -math.inf) & bool(down))


@operator("Gelu", domain=MICROSOFT)
def _microsoft_gelu(_: Node, x: Tensor) -> Tensor:
    return F.gelu(x)


@operator("BiasGelu", domain=MICROSOFT)
def _bias_gelu(_: Node, x: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(x + bias)


@operator("FastGelu", domain=MICROSOFT)
def _fast_gelu(_: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain=MICROSOFT)
def _quick_gelu(node: Node, x: Tensor) -> Tensor:
    return x * torch.sigmoid(node.get("alpha", 1.702) * x)
