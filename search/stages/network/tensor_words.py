"""Tensors and modules in words that a graph of operations is told with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from math import floor, log2
from typing import Any

import torch
from torch import Tensor, nn

_MANY = 1024  # values of a weight say how it starts
_USUAL = frozenset({"eps", "momentum"})


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in arguments or results, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from tensors_in(one)


def said(name: str, args: Any, kwargs: Mapping[str, Any]) -> str:
    """What an operator is called with beside tensors."""
    return f"{name} {_plain(args)} {_plain(list(kwargs.items())) if kwargs else ''}"


def _plain(value: Any) -> str:
    if isinstance(value, Tensor):
        return "_"
    return f"({','.join(map(_plain, value))})" if isinstance(value, tuple | list) else repr(value)


def overlap(one: Tensor, two: Tensor) -> bool:
    """Whether the parts of one memory that two tensors lie in overlap."""
    (first, first_end), (second, second_end) = _extent(one), _extent(two)
    return first < second_end and second < first_end


def _extent(tensor: Tensor) -> tuple[int, int]:
    begin = int(tensor.storage_offset())
    last = int(sum((size - 1) * by for size, by in zip(tensor.shape, tensor.stride(), strict=True)))
    return begin * tensor.element_size(), (begin + last + 1) * tensor.element_size()


def geometry(tensor: Tensor) -> tuple[Any, ...]:
    """How a tensor lies in its memory."""
    return tuple(tensor.shape), tensor.stride(), tensor.storage_offset()


def values_of(tensor: Tensor) -> str:
    """What names the values of a tensor that is not trained."""
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return f"{tensor.dtype} {tuple(tensor.shape)} {hashlib.blake2b(content, digest_size=16).hexdigest()}"


def beginning_of(weight: Tensor) -> str:
    """Shape, and how a weight starts: networks that start otherwise are not trained to the same."""
    some = weight.detach().reshape(-1)[:_MANY].double()
    spread = float(some.std(correction=0)) if some.numel() else 0.0
    start = f"all {some[:1].tolist()}" if not spread else "spread"
    if spread and len(some) == _MANY:  # of fewer it is not known well enough
        start = f"about 2^{floor(log2(spread))}"
    return f"{weight.dtype} {tuple(weight.shape)} {start}"


def when_trained(model: nn.Module) -> str:
    """Numbers that modules hold, of which some act in training alone: rates of dropout, of paths dropped."""
    usual, others = set(), []
    for module in model.modules():
        for name, value in sorted(vars(module).items()):
            if isinstance(value, float):
                told = (type(module).__name__, name, value)
                usual.add(told) if name in _USUAL else others.append(told)
    return repr((sorted(usual), others))
