"""What a build really contains: layers and weight types, as TensorRT itself lists them.

Two sources: the list of layers that some builders (TensorRT-RTX) log at the end of a build, which needs no
GPU, and the engine inspector, which needs one. The logged list also says which nodes of the graph each layer
computes, and so in which type a weight enters its product.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

# TensorRT's names of types: ours, and bytes of one element.
_TYPES = {
    "Float": ("float32", 4.0), "Half": ("float16", 2.0), "BFloat16": ("bfloat16", 2.0), "Int8": ("int8", 1.0),
    "UInt8": ("uint8", 1.0), "FP8": ("float8", 1.0), "Int4": ("int4", 0.5), "FP4": ("float4", 0.5),
    "Int32": ("int32", 4.0), "Int64": ("int64", 8.0), "Bool": ("bool", 1.0),
}  # fmt: skip
_SHORT = {"FP32": "float32", "FP16": "float16", "BF16": "bfloat16", "INT8": "int8", "INT32": "int32"}
LIST_START = "Layers:"
_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")


@dataclass(frozen=True, kw_only=True)
class EngineLayer:
    """One layer of an engine: the nodes of the graph that it computes, the types of its inputs, and its
    constants by name as (number of elements, type)."""

    nodes: frozenset[str]
    inputs: frozenset[str]
    constants: Mapping[str, tuple[int, str]]

    def takes(self, elements: int, kind: str, *, activations: bool) -> bool:
        """Whether a weight of so many elements enters the layer as `kind` (and with it the activations).

        It may be padded, or one tensor with others that enter the same product.
        """
        held = any(size >= elements and its == kind for size, its in self.constants.values())
        return held and (not activations or kind in self.inputs)


@dataclass(frozen=True, kw_only=True)
class LayerList:
    """A sentence about the layers, bytes of constants by storage type, and the layers (those of the
    inspector are not told apart)."""

    summary: str
    weight_bytes: dict[str, int] = field(default_factory=dict)
    layers: tuple[EngineLayer, ...] = ()

    def take(self, nodes: Collection[str], elements: int, kind: str, *, activations: bool) -> bool:
        """Whether a layer that computes one of `nodes` takes their weight as `kind`; see `EngineLayer`."""
        own = (layer for layer in self.layers if not layer.nodes.isdisjoint(nodes))
        return any(layer.takes(elements, kind, activations=activations) for layer in own)


def read_layer_log(text: str) -> LayerList | None:
    """Read a logged list of layers; None where the text has none of them.

    A line looks like "Name: n, LayerType: t, Inputs: [...], Constants: [ { Name: c, Dimensions: [4,4], ...,
    Datatype: Half, ... }], Outputs: [...], TacticName: ..., Metadata: [ONNX Layer: a][ONNX Layer: b]".
    """
    lines = re.findall(
        r"^Name: .*?Inputs: \[(.*?)\], Constants: \[(.*?)\], Outputs: \[(.*?)\], TacticName(.*)$", text, re.M
    )
    if not lines:
        return None
    layers, outputs = [], Counter[str]()
    totals: dict[str, tuple[str, int]] = {}
    for read, held, made, rest in lines:
        outputs.update(kind for _, _, kind in _tensors(made)[:1])
        constants = {name: (_elements(sizes), kind) for name, sizes, kind in _tensors(held)}
        totals |= {name: _stored(*constant) for name, constant in constants.items()}
        layers.append(
            EngineLayer(
                nodes=frozenset(_NODE.findall(rest)),
                inputs=frozenset(_ours(kind) for _, _, kind in _tensors(read)),
                constants={name: (size, _ours(kind)) for name, (size, kind) in constants.items()},
            )
        )
    sizes = Counter[str]()
    for kind, size in totals.values():
        sizes[kind] += size
    return LayerList(summary=_summary(len(lines), outputs), weight_bytes=dict(sizes), layers=tuple(layers))


def _tensors(text: str) -> list[tuple[str, str, str]]:
    """Name, dimensions and type of every tensor in a part of a line."""
    return re.findall(r"\{ Name: (.+?), Dimensions: \[([^\]]*)\].*?Datatype: (\w+)", text)


def _elements(sizes: str) -> int:
    return math.prod(int(size) for size in sizes.split(",") if size)


def _ours(kind: str) -> str:
    return _TYPES.get(kind, (kind.lower(), 1.0))[0]


def our_type(words: str) -> str:
    """Our name of the type that a description of a tensor names: "Channel major FP16 format"."""
    named = (_TYPES.get(word, ("", 0.0))[0] or _SHORT.get(word, "") for word in words.split())
    return next(filter(None, named), words.lower() or "unknown")


def _stored(elements: int, kind: str) -> tuple[str, int]:
    """Our name of a type, and the bytes that so many elements take."""
    ours, size = _TYPES.get(kind, (kind.lower(), 1.0))
    return ours, math.ceil(size * elements)


def read_inspector(text: str) -> LayerList:
    """Read the engine inspector's JSON, in the forms of TensorRT 8 to 11."""
    layers = json.loads(text).get("Layers", [])
    outputs: Counter[str] = Counter()
    for layer in layers:
        # Without detailed verbosity a layer is its name alone.
        for tensor in layer.get("Outputs", [])[:1] if isinstance(layer, dict) else ():
            kind = str(tensor.get("Datatype") or tensor.get("Format/Datatype") or "unknown")
            outputs[kind.split()[0]] += 1
    return LayerList(summary=_summary(len(layers), outputs))


def _summary(count: int, outputs: Counter[str]) -> str:
    listed = ", ".join(f"{number} {kind}" for kind, number in sorted(outputs.items()))
    return f"the engine has {count} layer(s)" + (f"; outputs: {listed}" if listed else "")
