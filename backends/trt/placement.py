"""Which layers an engine has and in which types they compute, as its own inspector says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..contract.integers import QdqStep, between
from ..contract.placement import UNSAID, ModelPlacement, NodePlacement
from .engine_layers import our_type

_LOW, _FLOATS = ("int8", "float8", "int4"), ("float32", "float16", "bfloat16")
_MOVES = ("reformat", "shuffle", "constant", "shape", "noop", "copy")
"""What the types of layers that compute nothing have in their names."""


def read_placement(text: str) -> ModelPlacement | None:
    """The layers of the inspector's JSON, in the forms of TensorRT 8 to 11; None where the engine was built
    without what it needs to tell more than names."""
    layers = json.loads(text).get("Layers", [])
    if not layers or not all(isinstance(layer, dict) for layer in layers):
        return None
    inside = between([_step(number, layer) for number, layer in enumerate(layers)])
    nodes = tuple(_node(layer, str(number) in inside) for number, layer in enumerate(layers))
    return ModelPlacement(intended="GPU, in 8 bits where the graph has them", nodes=nodes)


def _node(layer: Mapping[str, Any], in_float: bool) -> NodePlacement:
    kind = str(layer.get("LayerType") or "layer")
    types = _types(layer, "Outputs") or ["no output"]
    missed = in_float and not any(word in kind.lower() for word in _MOVES)
    return NodePlacement(
        name=str(layer.get("Name", "")),
        op=kind,
        kernel=f"{layer.get('TacticName') or kind} ({types[0]})",
        place="DLA" if kind.upper().startswith("DLA") else "GPU",
        intended=not missed,
        reason=f"it computes in {types[0]} between layers in 8 bits; {UNSAID}" if missed else "",
    )


def _step(number: int, layer: Mapping[str, Any]) -> QdqStep:
    read, made = _types(layer, "Inputs"), _types(layer, "Outputs")
    return QdqStep(
        name=str(number),
        inputs=tuple(_names(layer, "Inputs")),
        outputs=tuple(_names(layer, "Outputs")),
        opens=any(kind in _LOW for kind in read) and any(kind in _FLOATS for kind in made),
        closes=any(kind in _FLOATS for kind in read) and any(kind in _LOW for kind in made),
    )


def _tensors(layer: Mapping[str, Any], part: str) -> Sequence[Mapping[str, Any]]:
    return [one for one in layer.get(part, ()) if isinstance(one, dict)]


def _names(layer: Mapping[str, Any], part: str) -> list[str]:
    return [str(one.get("Name", "")) for one in _tensors(layer, part)]


def _types(layer: Mapping[str, Any], part: str) -> list[str]:
    """ "Int8" or, in older forms, "Thirty-two wide channel vectorized row major Int8 format"."""
    told = (str(one.get("Datatype") or one.get("Format/Datatype") or "") for one in _tensors(layer, part))
    return [our_type(words) for words in told]
