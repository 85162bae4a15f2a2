"""Walks through Torch-Pruning's graph that end, and go on past operators whose channels it cannot map."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch_pruning as tp
from torch_pruning.dependency import index_mapping

from ..network.model_size import plain_kernels


class TangledError(Exception):
    """How channels hang together cannot be followed."""


class Walk:
    """Steps that one walk through the graph may still take."""

    def __init__(self, most: int) -> None:
        self.most = self.left = most


class Counted(list[Any]):
    """Dependencies of a node. Rotary positions and the like can send Torch-Pruning in circles for good."""

    def __init__(self, values: list[Any], walk: Walk) -> None:
        super().__init__(values)
        self._walk = walk

    def __iter__(self) -> Iterator[Any]:
        self._walk.left -= 1
        if self._walk.left < 0:
            raise TangledError
        return super().__iter__()


@contextmanager
def mapping_noted(unknown: set[Any]) -> Iterator[None]:
    """Have Torch-Pruning go on where it cannot map the channels of one operator (a channel shuffle), which is
    noted; by itself it gives up the whole model."""
    rules = {
        tp.ops.OPTYPE.CONCAT: index_mapping.update_concat_index_mapping,
        tp.ops.OPTYPE.SPLIT: index_mapping.update_split_index_mapping,
        tp.ops.OPTYPE.RESHAPE: index_mapping.update_reshape_index_mapping,
        tp.ops.OPTYPE.UNBIND: index_mapping.update_unbind_index_mapping,
        tp.ops.OPTYPE.EXPAND: index_mapping.update_expand_index_mapping,
        tp.ops.OPTYPE.SLICE: index_mapping.update_slice_index_mapping,
    }

    def update(graph: Any) -> None:
        for node in graph.module2node.values():
            try:
                rules.get(node.type, lambda graph, node: None)(graph, node)
            except Exception:  # sizes that it did not expect
                unknown.add(node)

    whole = index_mapping.update_index_mapping
    index_mapping.update_index_mapping = update
    try:
        yield
    finally:
        index_mapping.update_index_mapping = whole


def one_line(error: Exception) -> str:
    """What an error of other people's code says, in one line."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


@contextmanager
def tracing() -> Iterator[None]:
    """Gradients on, warnings off, and no fused kernels, which hide what they are made of. Millions of small
    objects come and go meanwhile, so garbage is collected afterwards."""
    collects = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings(), torch.enable_grad(), plain_kernels():
            warnings.simplefilter("ignore")
            yield
    finally:
        if collects:
            gc.enable()
