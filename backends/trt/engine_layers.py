"""What a build really contains: layers and weight types, as TensorRT itself lists them.

Two sources: the list of layers that some builders (TensorRT-RTX) log at the end of a build, which needs no
GPU, and the engine inspector, which needs one.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field

# TensorRT's names of types: ours, and bytes of one element.
_TYPES = {
    "Float": ("float32", 4.0), "Half": ("float16", 2.0), "BFloat16": ("bfloat16", 2.0), "Int8": ("int8", 1.0),
    "UInt8": ("uint8", 1.0), "FP8": ("float8", 1.0), "Int4": ("int4", 0.5), "FP4": ("float4", 0.5),
    "Int32": ("int32", 4.0), "Int64": ("int64", 8.0), "Bool": ("bool", 1.0),
}  # fmt: skip
LIST_START = "Layers:"


@dataclass(frozen=True, kw_only=True)
class LayerList:
    """A sentence about the layers, and bytes of constants by storage type."""

    summary: str
    weight_bytes: dict[str, int] = field(default_factory=dict)


def read_layer_log(text: str) -> LayerList | None:
    """Read a logged list of layers; None where the text has none of them.

    A line looks like "Name: n, LayerType: t, Inputs: [...], Constants: [ { Name: c, Dimensions: [4,4], ...,
    Datatype: Half, ... }], Outputs: [...], ...".
    """
    layers = re.findall(r"^Name: .*?Constants: \[(.*?)\], Outputs: \[(.*?)\], TacticName", text, re.MULTILINE)
    if not layers:
        return None
    constants: dict[str, tuple[str, int]] = {}
    outputs: Counter[str] = Counter()
    for held, made in layers:
        for name, sizes, kind in _tensors(held):
            ours, size = _TYPES.get(kind, (kind.lower(), 1.0))
            constants[name] = ours, math.ceil(size * math.prod(int(s) for s in sizes.split(",") if s))
        outputs.update(kind for _, _, kind in _tensors(made)[:1])
    totals: Counter[str] = Counter()
    for kind, size in constants.values():
        totals[kind] += size
    return LayerList(summary=_summary(len(layers), outputs), weight_bytes=dict(totals))


def _tensors(text: str) -> list[tuple[str, str, str]]:
    """Name, dimensions and type of every tensor in a part of a line."""
    return re.findall(r"\{ Name: (.+?), Dimensions: \[([^\]]*)\].*?Datatype: (\w+)", text)


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
