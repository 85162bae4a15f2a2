"""Pooling, over windows and over everything."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .operators import Node, operator
from .windows import Windows, windows

_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_MEAN_OF_ALL = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


@operator("MaxPool")
def _max_pool(node: Node, x: Tensor) -> Tensor:
    if node.outputs > 1:
        raise node.refused("its indices are asked for")
    where = _rounded(node, x)
    function: Callable[..., Tensor] = _known(node, _MAX, where)
    inside = where.even and all(2 * p <= k for p, k in zip(where.before, where.kernel, strict=True))
    padding = where.before if inside else (0,) * where.spatial
    x = x if inside else where.padded(x, -math.inf)
    return function(x, where.kernel, where.strides, padding, where.dilations)


@operator("AveragePool")
def _average_pool(node: Node, x: Tensor) -> Tensor:
    where = _rounded(node, x)
    function: Callable[..., Tensor] = _known(node, _MEAN, where)
    if any(dilation != 1 for dilation in where.dilations):
        raise node.refused("it is dilated")
    counted = bool(node.get("count_include_pad", 0))
    inside = where.even and all(2 * p <= k for p, k in zip(where.before, where.kernel, strict=True))
    exact = _rounded(node, x, up=False) == where
    if inside and (exact or not any(where.before)) and exact:
        return function(x, where.kernel, where.strides, where.before, False, counted)
    y = function(where.padded(x), where.kernel, where.strides)
    # How much of each window lies on what counts.
    ones = torch.ones((1, 1, *x.shape[2:]))
    ends = _rounded(node, x, up=False)
    ones = ends.padded(ones, 1.0) if counted else ones
    rest = replace(
        where, before=_less(where.before, ends.before, counted), after=_less(where.after, ends.after, counted)
    )
    return y / function(rest.padded(ones), where.kernel, where.strides)


def _less(all_of: tuple[int, ...], counted: tuple[int, ...], counts: bool) -> tuple[int, ...]:
    return tuple(a - c for a, c in zip(all_of, counted, strict=True)) if counts else all_of


@operator("GlobalAveragePool")
def _global_average(node: Node, x: Tensor) -> Tensor:
    function: Callable[..., Tensor] | None = _MEAN_OF_ALL.get(x.ndim - 2)
    if function is None:
        return torch.mean(x, list(range(2, x.ndim)), keepdim=True)
    return function(x, 1)


@operator("GlobalMaxPool")
def _global_max(_: Node, x: Tensor) -> Tensor:
    return torch.amax(x, list(range(2, x.ndim)), keepdim=True)


def _rounded(node: Node, x: Tensor, *, up: bool = True) -> Windows:
    """The windows, with as much padding behind as sizes that are rounded up ask for."""
    sizes = x.shape[2:]
    where = windows(node, node.get("kernel_shape"), sizes)
    if not (up and node.get("ceil_mode", 0)):
        return where
    after = list(where.after)
    for axis, size in enumerate(sizes):
        span = (where.kernel[axis] - 1) * where.dilations[axis] + 1
        free, stride = size + where.before[axis] + where.after[axis] - span, where.strides[axis]
        steps = math.ceil(free / stride)
        if (
            steps * stride >= size + where.before[axis]
        ):  # a window wholly in the padding behind does not count
            steps -= 1
        after[axis] += max(0, steps * stride - free)
    return replace(where, after=tuple(after))


def _known(node: Node, functions: dict[int, Any], where: Windows) -> Any:
    if where.spatial not in functions:
        raise node.refused(f"it has {where.spatial} axes beside batch and channels")
    return functions[where.spatial]
