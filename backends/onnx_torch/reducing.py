"""Operators that make one element of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .operators import Node, operator


def _prod(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep)
    return x


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x, axes, keepdim=keep, dtype=x.dtype)


def _any(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    """The largest; booleans have an order in ONNX alone."""
    return (
        torch.amax(x.to(torch.int32), axes, keep).bool()
        if x.dtype == torch.bool
        else torch.amax(x, axes, keep)
    )


def _all(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return (
        torch.amin(x.to(torch.int32), axes, keep).bool()
        if x.dtype == torch.bool
        else torch.amin(x, axes, keep)
    )


_REDUCTIONS: dict[str, Callable[[Tensor, list[int], bool], Tensor]] = {
    "ReduceSum": _sum,
    "ReduceMean": lambda x, axes, keep: torch.mean(x, axes, keepdim=keep),
    "ReduceMax": _any,
    "ReduceMin": _all,
    "ReduceProd": _prod,
    "ReduceL1": lambda x, axes, keep: _sum(torch.abs(x), axes, keep),
    "ReduceL2": lambda x, axes, keep: torch.sqrt(_sum(x * x, axes, keep)),
    "ReduceSumSquare": lambda x, axes, keep: _sum(x * x, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: torch.log(_sum(x, axes, keep)),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
}


@operator(*_REDUCTIONS, static=(1,))
def _reduced(node: Node, x: Tensor, axes: Any = None) -> Tensor:
    found = node.get("axes") if axes is None else axes
    if found is None or not len(found):
        if node.get("noop_with_empty_axes", 0):
            return x
        found = range(x.ndim)
    along = [int(axis) % x.ndim for axis in found]
    return _REDUCTIONS[node.operator](x, along, bool(node.get("keepdims", 1)))


@operator("ArgMax", "ArgMin")
def _arg(node: Node, x: Tensor) -> Tensor:
    if node.get("select_last_index", 0):
        raise node.refused("it takes the last of equal ones")
    function = torch.argmax if node.operator == "ArgMax" else torch.argmin
    return function(x, node.get("axis", 0), bool(node.get("keepdims", 1)))


@operator("Softmax", "LogSoftmax")
def _softmax(node: Node, x: Tensor) -> Tensor:
    function = F.softmax if node.operator == "Softmax" else F.log_softmax
    return function(x, node.get("axis", -1))


@operator("LpNormalization")
def _lp_normalization(node: Node, x: Tensor) -> Tensor:
    p, axis = node.get("p", 2), node.get("axis", -1)
    size = _REDUCTIONS[f"ReduceL{p}"](x, [axis], True)
    return torch.where(size == 0, torch.zeros_like(x), x / size)
