"""The layers of a .tflite model by name: which a precision reaches, which stay float, how each is stored.

A layer is a weight with the module that it belongs to. Its name is the path of that module, which the
converter leaves in the names of tensors ("body.0"; only modules that are called are in it, so a ModuleList is
not). A second weight of the same module gets ":2". Models from elsewhere have layers with the names of their
tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...profiles.errors import InternalError
from ...profiles.precision import Precision
from ..contract.backend import LayerGroup
from .inspect import Weight, weights

_PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "EMBEDDING_LOOKUP", "FULLY_CONNECTED", "TRANSPOSE_CONV")
# Operators whose weights each precision changes. Static int8 leaves BATCH_MATMUL float: no fast kernel.
_REACHED = {
    Precision.INT8: _PRODUCTS,
    Precision.INT8_DYNAMIC: (*_PRODUCTS, "BATCH_MATMUL"),
    Precision.INT16X8: (*_PRODUCTS, "BATCH_MATMUL"),
    Precision.INT4_WEIGHT: (*_PRODUCTS, "BATCH_MATMUL"),
}
# Modules that the converter fuses into the layer before them, whose names come first in the fused operator's.
_FUSED = re.compile(
    r"^torch\.nn\.modules\.(activation\.(?!MultiheadAttention)|batchnorm|normalization|dropout|pooling)"
)
# Whoever exports hands the model over as attribute `model` of a wrapper: no part of the user's names.
_WRAPPED = re.compile(r"^.*\._(?:Keyword|Numbered)/[^/;]*_model(?=[/;]|$)")
_ANONYMOUS = ("arith.", "tfl.")  # names of constants that the converter made up
_LONGEST_SCOPE = 10000  # ai-edge-quantizer matches no more than this much of a scope


@dataclass(frozen=True, kw_only=True)
class NamedWeight:
    """One weight under its module's name; `operators` are the positions in `weights` of its users there."""

    name: str
    operators: tuple[int, ...]
    buffer: int
    count: int


def layers(content: bytes) -> tuple[NamedWeight, ...]:
    """The layers of a model, in the order of their first operators."""
    return _layers(weights(content))


def layer_groups(content: bytes, precision: Precision) -> tuple[LayerGroup, ...]:
    """Groups of the layers whose weights the precision changes; empty where it knows no mixture.

    Tied: layers that share one weight (tied embeddings, equal weights that the converter merged), and
    operators that the quantizer cannot tell apart. Activations and padding are no layers of their own: the
    runtime fuses them into the layer beside them.
    """
    found = weights(content)
    kinds = _REACHED.get(precision, ())
    groups = []
    for tied in _tied(_layers(found), found):
        if any(found[i].operator in kinds for layer in tied for i in layer.operators):
            counts = {layer.buffer: layer.count for layer in tied}
            names = tuple(layer.name for layer in tied)
            groups.append(LayerGroup(name=names[0], layers=names, weights=sum(counts.values())))
    return tuple(groups)


def check_names(content: bytes, precision: Precision, names: Sequence[str]) -> None:
    """Whether the precision can leave these layers in float.

    Raises:
        ValueError: the precision knows no mixture, or the model has no layer of that name.
    """
    if names and precision not in _REACHED:
        raise ValueError(f"{precision} has no layers that can be kept in float on LiteRT")
    _kept(weights(content), names)


def keep_rules(content: bytes, names: Sequence[str]) -> list[dict[str, Any]]:
    """Recipe entries of ai-edge-quantizer that leave the named layers, and those tied to them, in float."""
    found = weights(content)
    kept = {layer.name for layer in _kept(found, names)}
    positions = (i for layer in _layers(found) if layer.name in kept for i in layer.operators)
    scopes = dict.fromkeys(found[i].scope for i in positions)
    # Anchored: the name of one operator may be the beginning of another's.
    return [
        {
            "regex": rf"\A{re.escape(scope[:_LONGEST_SCOPE])}\Z",
            "operation": "*",
            "algorithm_key": "no_quantize",
            "op_config": {},
        }
        for scope in scopes
    ]


def kept_weights(content: bytes, names: Sequence[str]) -> int:
    """Number of weights in the named layers and in those tied to them."""
    return sum({layer.buffer: layer.count for layer in _kept(weights(content), names)}.values())


def sizes(content: bytes) -> dict[str, int]:
    """Number of weights of each layer; those that an earlier layer shares count there."""
    found = layers(content)
    owner = {layer.buffer: layer.name for layer in reversed(found)}
    return {layer.name: layer.count if owner[layer.buffer] == layer.name else 0 for layer in found}


def stored_as(source: bytes, artifact: bytes) -> dict[str, str]:
    """Storage type of each layer's weight in the artifact, by its name in the source; several with a "+".

    Raises:
        InternalError: the artifact has other operators than its source.
    """
    found: dict[str, set[str]] = {}
    for name, _, weight in _pairs(source, artifact):
        found.setdefault(name, set()).add(weight.stored_as)
    return {name: "+".join(sorted(kinds)) for name, kinds in found.items()}


def zero_share(content: bytes) -> float | None:
    """Share of zeros among all weights as stored, a shared one counted once; None without weights."""
    once = {weight.buffer: weight for weight in weights(content)}.values()
    total = sum(weight.count for weight in once)
    return sum(weight.zeros for weight in once) / total if total else None


def zeros(source: bytes, artifact: bytes) -> dict[str, tuple[float, float]]:
    """Each layer's share of zeros in the source and in the artifact, the most that was lost."""
    found: dict[str, tuple[float, float]] = {}
    for name, before, after in _pairs(source, artifact):
        shares = (before.zeros / before.count, after.zeros / after.count)
        if name not in found or shares[0] - shares[1] > found[name][0] - found[name][1]:
            found[name] = shares
    return found


def _pairs(source: bytes, artifact: bytes) -> Iterable[tuple[str, Weight, Weight]]:
    """Each layer's name with the weight of each of its operators in the source and in the artifact."""
    before, after = weights(source), weights(artifact)
    if [weight.count for weight in before] != [weight.count for weight in after]:
        raise InternalError(f"{len(before)} weights went into the quantizer, {len(after)} others came out")
    return [(layer.name, before[i], after[i]) for layer in _layers(before) for i in layer.operators]


def _kept(found: Sequence[Weight], names: Sequence[str]) -> list[NamedWeight]:
    every = _layers(found)
    known = {layer.name for layer in every}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"the model has no layer {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return [layer for tied in _tied(every, found) if any(t.name in names for t in tied) for layer in tied]


def _layers(found: Sequence[Weight]) -> tuple[NamedWeight, ...]:
    positions: dict[tuple[str, int], list[int]] = {}
    for position, weight in enumerate(found):
        positions.setdefault((_module(weight), weight.buffer), []).append(position)
    modules: dict[str, int] = {}
    made = []
    for (module, buffer), where in positions.items():
        modules[module] = modules.get(module, 0) + 1
        name = module if modules[module] == 1 else f"{module}:{modules[module]}"
        count = found[where[0]].count
        made.append(NamedWeight(name=name, operators=tuple(where), buffer=buffer, count=count))
    return tuple(made)


def _tied(every: Sequence[NamedWeight], found: Sequence[Weight]) -> list[list[NamedWeight]]:
    """Layers that share a weight or the scope of an operator, together."""
    groups: list[tuple[set[object], list[NamedWeight]]] = []
    for layer in every:
        marks: set[object] = {layer.buffer, *(found[i].scope for i in layer.operators)}
        joined = [group for group in groups if group[0] & marks]
        groups = [group for group in groups if not group[0] & marks]
        groups.append(
            (marks.union(*(m for m, _ in joined)), [*(one for _, held in joined for one in held), layer])
        )
    order = {layer.name: index for index, layer in enumerate(every)}
    return sorted((held for _, held in groups), key=lambda held: order[held[0].name])


def _module(weight: Weight) -> str:
    """Path of the module that the weight belongs to, by the names that the converter gave the tensors.

    Names of fused operators list all that went into them, separated by two semicolons. The deepest module
    that is not one of those that are fused into others owns the weight. Outputs of the model lost theirs.
    """
    for name in weight.names:
        paths = [path for path in map(_path, name.split(";;")) if path]
        if paths:
            return max(paths, key=lambda path: path.count("."))
    own = (name for name in (weight.names[1], weight.names[0]) if name and not name.startswith(_ANONYMOUS))
    name = next(own, weight.operator)
    return "model" if _WRAPPED.match(name) else name  # a parameter of the model itself


def _path(name: str) -> str:
    """ "pkg.Net/torch.nn.modules.container.Sequential_body/torch.nn.modules.conv.Conv2d_0;1" is "body.0"."""
    parts = _WRAPPED.sub("wrapped", name).partition(";")[0].split("/")
    if _FUSED.match(parts[-1]):
        return ""
    return ".".join(attribute for part in parts[1:] if (attribute := _attribute(part)))


def _attribute(part: str) -> str:
    """The name of an attribute behind its class: "torch.nn.modules.conv.Conv2d_stem" is "stem"."""
    return part.rpartition(".")[2].lstrip("_").partition("_")[2]
