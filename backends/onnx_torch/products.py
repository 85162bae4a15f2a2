"""Operators that multiply by weights: convolutions and products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .operators import MICROSOFT, Node, operator
from .windows import Windows, windows

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@operator("MatMul")
def _matmul(_: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.matmul(a, b)


@operator("Linear")
def _linear(_: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product with a constant matrix, which stands as PyTorch's layers have it: one row for each output."""
    return F.linear(x, weight, bias)


@operator("Gemm")
def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.t() if node.get("transA", 0) else a
    b = b.t() if node.get("transB", 0) else b
    y: Tensor = torch.matmul(a, b)
    if (alpha := node.get("alpha", 1.0)) != 1:
        y = y * alpha
    return y if c is None else y + c * node.get("beta", 1.0)


@operator("FusedMatMul", domain=MICROSOFT)
def _fused_matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        raise node.refused("it moves the batch")
    a = a.transpose(-1, -2) if node.get("transA", 0) else a
    b = b.transpose(-1, -2) if node.get("transB", 0) else b
    return torch.matmul(a, b) * float(node.get("alpha", 1.0))


@operator("Einsum")
def _einsum(node: Node, *inputs: Tensor) -> Tensor:
    return torch.einsum(node.get("equation"), *inputs)


@operator("Conv")
def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    where = windows(node, weight.shape[2:], x.shape[2:])
    function: Callable[..., Tensor] = _known(node, _CONV, where)
    x, padding = (x, where.before) if where.even else (where.padded(x), (0,) * where.spatial)
    return function(x, weight, bias, where.strides, padding, where.dilations, node.get("group", 1))


@operator("ConvTranspose")
def _conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    where = windows(node, weight.shape[2:], x.shape[2:])
    more = list(node.get("output_padding", [0] * where.spatial))
    before, after = _cut(node, where, x, more)
    function: Callable[..., Tensor] = _known(node, _TRANSPOSED, where)
    # Converters know a transposed convolution that gives a multiple of its input, or all of its result: what
    # is to be cut away, or added, is cut and added behind it.
    own = before == after and not any(more) and _multiplies(where, before)
    padding = before if own else [0] * where.spatial
    y = function(x, weight, bias, where.strides, padding, 0, node.get("group", 1), where.dilations)
    widths = []
    for axis in () if own else reversed(range(where.spatial)):
        widths += [-before[axis], more[axis] - after[axis]]
    return F.pad(y, widths) if any(widths) else y


def _multiplies(where: Windows, before: list[int]) -> bool:
    """Whether each axis is as many times longer afterwards as its stride says, or nothing is cut."""
    spans = [(k - 1) * d + 1 for k, d in zip(where.kernel, where.dilations, strict=True)]
    cut = zip(spans, where.strides, before, strict=True)
    return not any(before) or all(span - stride == 2 * less for span, stride, less in cut)


def _cut(node: Node, where: Windows, x: Tensor, more: list[int]) -> tuple[list[int], list[int]]:
    """How much of the whole result is cut away before and after along each axis."""
    wanted, auto = node.get("output_shape"), node.get("auto_pad", "NOTSET")
    if wanted is None and not auto.startswith("SAME"):
        return list(where.before), list(where.after)
    before, after = [], []
    for axis in range(where.spatial):
        size, stride = x.shape[axis + 2], where.strides[axis]
        goal = wanted[axis - where.spatial] if wanted is not None else size * stride
        whole = stride * (size - 1) + more[axis] + (where.kernel[axis] - 1) * where.dilations[axis] + 1
        total = whole - goal
        less = total // 2
        first = less if auto == "SAME_UPPER" else total - less
        before.append(first)
        after.append(total - first)
    return before, after


def _known(node: Node, functions: dict[int, Any], where: Windows) -> Any:
    if where.spatial not in functions:
        raise node.refused(f"it has {where.spatial} axes beside batch and channels")
    return functions[where.spatial]
