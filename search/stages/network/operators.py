"""PyTorch's operators as the kinds of operations that a network's structure is told in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...structure.graph import (
    AVERAGE_POOL,
    CONCAT,
    CONVOLUTION,
    DENSE,
    DEPTHWISE,
    EMBEDDING,
    IDENTITY,
    MATMUL,
    MAX_POOL,
    MEAN,
    MOVED,
    NORM,
    OTHER,
    POINTWISE,
    PRODUCT,
    RELU,
    SUM,
    ZERO,
)

_POOL = re.compile(r"(avg|max)_pool[123]d")
_KINDS = {
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "linear"), MATMUL),
    **dict.fromkeys(("clone", "alias", "detach", "lift_fresh", "lift_fresh_copy", "contiguous"), IDENTITY),
    **dict.fromkeys(("mean", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d"), MEAN),
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), ZERO),
    **dict.fromkeys(("cat", "stack"), CONCAT),
    **dict.fromkeys(("native_batch_norm", "native_layer_norm", "native_group_norm"), NORM),
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax"), NORM),
    "embedding": EMBEDDING,
    "relu": RELU,
    "_unsafe_view": MOVED,
}


class Called(NamedTuple):
    """What one call of an operator is. `kernel`, `stride` and `channels` are those of `Operation`."""

    kind: str
    kernel: int = 0
    stride: int = 1
    channels: int = 0


def read(func: Any, args: Sequence[Any], result: Any, *, learned: bool, plain: bool) -> Called:
    """`learned`: one of the operands is made of trained weights alone. `plain`: nothing was given by name."""
    name = func.name().partition("::")[2].partition(".")[0].rstrip("_")
    first = result[0] if isinstance(result, tuple | list) and result else result
    channels = _channels(first)
    if name == "convolution":
        return _convolution(args, channels)
    if found := _POOL.match(name):
        return _pool(AVERAGE_POOL if found[1] == "avg" else MAX_POOL, args, channels)
    if plain and name in ("add", "mul") and (kind := _arithmetic(name, args)):
        return Called(kind, channels=channels)
    kind = _KINDS.get(name) or _by_tags(func)
    return Called(DENSE if kind == MATMUL and learned else kind, channels=channels)


def _by_tags(func: Any) -> str:
    if getattr(func, "is_view", False):
        return MOVED
    return POINTWISE if torch.Tag.pointwise in func.tags else OTHER


def _arithmetic(name: str, args: Sequence[Any]) -> str:
    """Sums and products of two of one shape, and what is zero; anything else is pointwise."""
    one, two = args[:2]
    if name == "mul" and (_is_zero(one) or _is_zero(two)):
        return ZERO
    alike = isinstance(one, Tensor) and isinstance(two, Tensor)
    if not alike or one.shape != two.shape or one.dtype != two.dtype:
        return ""
    return {"add": SUM, "mul": PRODUCT}.get(name, "")


def _is_zero(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and value == 0


def _convolution(args: Sequence[Any], channels: int) -> Called:
    source, weight, _, strides, _, dilations, transposed, _, groups = args
    kernel = max((size - 1) * by + 1 for size, by in zip(weight.shape[2:], dilations, strict=False))
    alone = 1 < groups == source.shape[1]
    return Called(DEPTHWISE if alone else CONVOLUTION, kernel, 1 if transposed else max(strides), channels)


def _pool(kind: str, args: Sequence[Any], channels: int) -> Called:
    kernel = args[1] if isinstance(args[1], int) else max(args[1])
    strides = args[2] if len(args) > 2 else ()
    stride = strides if isinstance(strides, int) else max(strides, default=kernel)
    return Called(kind, kernel, stride, channels)


def _channels(result: Any) -> int:
    if not isinstance(result, Tensor) or not result.ndim:
        return 0
    return int(result.shape[1] if result.ndim > 2 else result.shape[-1])
