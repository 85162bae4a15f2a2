"""Constant weights of matrix products as int4 in blocks that share a scale (operator set 21 on).

A product reads its weight through one DequantizeLinear. TensorRT-RTX fuses the two where the weight has two
blocks or more and no other product reads it; elsewhere it unpacks the weight first, in a layer of its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from ..contract.backend import Array
from .qdq import SMALLEST_SCALE, Site

if TYPE_CHECKING:
    import onnx

LARGEST_BLOCK = 32
SMALLEST_BLOCK = 8  # below it, scales take more room than they save
_LARGEST = 7


def block_of(length: int) -> int:
    """The size of blocks along an axis of so many weights; 0 where it has no two equal ones."""
    sizes = range(min(LARGEST_BLOCK, length // 2), SMALLEST_BLOCK - 1, -1)
    return next((size for size in sizes if length % size == 0), 0)


def find_products(model: onnx.ModelProto, keep: Collection[str] = ()) -> tuple[Site, ...]:
    """Every constant weight that can be int4, as read by a node that is not in `keep`.

    `axis` is the one along which blocks run: that of the inputs.
    """
    from ..onnx_graph.layers import Graph

    graph, sites = Graph(model), []
    for node in graph.nodes:
        weight = graph.constant.get(node.input[1]) if node.op_type in ("Gemm", "MatMul") else None
        if weight is None or node.name in keep or node.input[0] in graph.constant:
            continue
        axis = int(any(a.name == "transB" and a.i for a in node.attribute))
        # An odd number of weights has no whole number of bytes, and the builder refuses it.
        if len(weight.dims) == 2 and block_of(weight.dims[axis]) and math.prod(weight.dims) % 2 == 0:
            sites.append(Site(node=node.name, index=1, tensor=weight.name, weight=True, axis=axis))
    return tuple(sites)


def insert_int4(model: onnx.ModelProto, sites: tuple[Site, ...]) -> onnx.ModelProto:
    """A copy of `model` in which the weights at `sites` are int4, each followed by a DequantizeLinear."""
    import onnx

    small = onnx.ModelProto()
    small.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in small.graph.initializer}
    at = {site.node: site for site in sites}
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in small.graph.node:
        site = at.get(node.name)
        if site is not None:
            node.input[site.index] = f"{site.pair}_dq"
            if site.pair not in done:
                done.add(site.pair)
                constants, unpacked = _stored(site, onnx.numpy_helper.to_array(weights[site.tensor]))
                small.graph.initializer.extend(constants)
                nodes.append(unpacked)
        nodes.append(node)
    ordered = onnx.GraphProto(node=nodes)  # copies: clearing the list would empty nodes that it owns
    del small.graph.node[:]
    small.graph.node.extend(ordered.node)
    _drop_unread(small.graph)
    return small


def _stored(site: Site, weight: Array) -> tuple[list[onnx.TensorProto], onnx.NodeProto]:
    """Codes, scales and zero points, and the node that reads them."""
    from onnx import TensorProto, helper, numpy_helper

    assert site.axis is not None
    codes, scales = _codes(weight, site.axis)
    names = [f"{site.pair}_{part}" for part in ("int4", "scale", "zero")]
    constants = [
        helper.make_tensor(names[0], TensorProto.INT4, codes.shape, codes.ravel().tolist()),
        numpy_helper.from_array(scales, names[1]),
        helper.make_tensor(names[2], TensorProto.INT4, scales.shape, [0] * scales.size),
    ]
    block = weight.shape[site.axis] // scales.shape[site.axis]
    out = f"{site.pair}_dq"
    return constants, helper.make_node(
        "DequantizeLinear", names, [out], name=out, axis=site.axis, block_size=block
    )


def _codes(weight: Array, axis: int) -> tuple[Array, Array]:
    """Whole numbers from -7 to 7, and a float32 scale for each block along `axis`.

    Weights that quantization-aware training put on a grid of each output channel stay on it.
    """
    from ..onnx_quantize.int4 import channel_codes

    along = np.moveaxis(weight, axis, 0)
    blocks = along.reshape(-1, block_of(len(along)), along.shape[1])
    trained = channel_codes(along, 1)
    if trained is not None and trained[1].min() >= SMALLEST_SCALE:
        scales = np.repeat(trained[1][None], len(blocks), axis=0)
        return np.moveaxis(trained[0], 0, axis), np.moveaxis(scales, 0, axis)
    largest = np.abs(blocks).max(axis=1)
    scales = np.where(largest > 0, np.maximum(largest / _LARGEST, SMALLEST_SCALE), 1.0).astype(np.float32)
    codes = np.clip(np.rint(blocks / scales[:, None]), -_LARGEST, _LARGEST).astype(np.int8)
    return np.moveaxis(codes.reshape(along.shape), 0, axis), np.moveaxis(scales, 0, axis)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Remove float weights that no node reads any more."""
    from ..onnx_graph.subgraphs import names_read

    read = {name for node in graph.node for name in names_read(node)} | {v.name for v in graph.output}
    kept = [type(t).FromString(t.SerializeToString()) for t in graph.initializer if t.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
