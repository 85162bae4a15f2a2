"""Operators that bring values to a mean and a deviation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .operators import MICROSOFT, Node, operator

_EPSILON = 1e-5


@operator("BatchNormalization")
def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    if node.get("training_mode", 0):
        raise node.refused("it is in training mode")
    return F.batch_norm(x, mean, var, scale, bias, False, 0.0, node.get("epsilon", _EPSILON))


@operator("InstanceNormalization")
def _instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", _EPSILON))


@operator("LayerNormalization")
def _layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    if node.outputs > 1:
        raise node.refused("its mean and deviation are asked for")
    axis = node.get("axis", -1) % x.ndim
    shape = x.shape[axis:]
    if scale.shape != shape:
        y = F.layer_norm(x, shape, eps=node.get("epsilon", _EPSILON)) * scale
        return y if bias is None else y + bias
    return F.layer_norm(x, shape, scale, bias, node.get("epsilon", _EPSILON))


@operator("GroupNormalization")
def _group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups, epsilon = node.get("num_groups"), node.get("epsilon", _EPSILON)
    if scale.shape[0] == groups != x.shape[1]:  # before opset 21 there was one number for each group
        scale, bias = (one.repeat_interleave(x.shape[1] // groups) for one in (scale, bias))
    return F.group_norm(x, groups, scale, bias, epsilon)


@operator("RMSNormalization")
def _rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    axes = list(range(node.get("axis", -1) % x.ndim, x.ndim))
    mean = torch.mean(x * x, axes, keepdim=True)
    return x * torch.rsqrt(mean + node.get("epsilon", _EPSILON)) * scale


@operator("SkipLayerNormalization", domain=MICROSOFT)
def _skip_layer_norm(node: Node, x: Tensor, skip: Tensor, scale: Tensor, *more: Tensor | None) -> Any:
    beta, bias = (*more, None, None)[:2]
    total = x + skip if bias is None else x + skip + bias
    y = F.layer_norm(total, total.shape[-1:], scale, beta, node.get("epsilon", 1e-12))
    if node.outputs < 2:
        return y
    return (y, None, None, total)[: node.outputs]


@operator("LRN")
def _lrn(node: Node, x: Tensor) -> Tensor:
    size = node.get("size")
    before = (size - 1) // 2
    rest = [0] * 2 * (x.ndim - 2)
    squares = F.pad(x * x, [*rest, before, size - 1 - before])
    total = sum((squares.narrow(1, i, x.shape[1]) for i in range(1, size)), squares.narrow(1, 0, x.shape[1]))
    alpha, beta, bias = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    return x / torch.pow(bias + alpha / size * total, beta)


@operator("MeanVarianceNormalization")
def _mean_variance(node: Node, x: Tensor) -> Tensor:
    axes = node.get("axes", [0, 2, 3])
    mean = torch.mean(x, axes, keepdim=True)
    var = torch.mean(x * x, axes, keepdim=True) - mean * mean
    return (x - mean) / (torch.sqrt(var) + 1e-9)
