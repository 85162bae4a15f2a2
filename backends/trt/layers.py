"""Layers of a folded graph as TensorRT's quantized builds treat them: which there are, and
which the engine really runs at the precision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...profiles.precision import Precision
from .engine_layers import LayerList

if TYPE_CHECKING:
    import onnx

    from ..onnx_graph.layers import Layer
    from .qdq import Site

KIND = {Precision.INT8: "int8", Precision.FP8: "float8", Precision.INT4_WEIGHT: "int4"}
"""The precisions at which single layers can be kept in float, and what their weights are stored as."""


def layers_of(graph: onnx.ModelProto, precision: Precision, sites: Iterable[Site]) -> tuple[Layer, ...]:
    """Every layer with weights; `reached_by` holds the precision where its weight is at one of `sites`."""
    from ..onnx_graph.layers import find_layers

    at = {site.tensor for site in sites if site.weight}
    return tuple(
        replace(layer, reached_by=(precision,) if layer.weight in at else ()) for layer in find_layers(graph)
    )


def stayed_float(
    engine: LayerList | None, layers: Iterable[Layer], precision: Precision, sites: Iterable[Site]
) -> tuple[Layer, ...]:
    """Those of `layers` that the engine has in float though the graph has them at the precision, by its own
    list; none where it has no list that names nodes.

    Where activations are quantized, the product itself must run so. Weights alone may be unpacked by a layer
    of their own (see `unpacked_apart`).
    """
    if engine is None or not any(layer.nodes for layer in engine.layers):
        return ()
    activations = precision.decoded.activation_bits == 8
    unpackers = {} if activations else {site.tensor: f"{site.pair}_dq" for site in sites}

    def stays(layer: Layer) -> bool:
        nodes = {*layer.nodes, unpackers.get(layer.weight, "")}
        return not engine.take(nodes, layer.weights, KIND[precision], activations=activations)

    return tuple(filter(stays, layers))


def unpacked_apart(
    engine: LayerList | None, layers: Iterable[Layer], precision: Precision
) -> tuple[Layer, ...]:
    """Those of `layers` whose weights another layer of the engine unpacks first, by its own list."""
    return stayed_float(engine, layers, precision, ())
