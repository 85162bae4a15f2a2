"""Structured pruning: remove whole channels and heads, with everything that hangs on them.

Each group of channels loses the same share, so the shapes that are left depend on the architecture alone and
never on the weights: a model can be built, measured and reloaded before and after training alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ....profiles.errors import UnsupportedError
from ..network.plain import copied, plain_weights
from ..network.predict import first_output
from .channels import LAYERS, ChannelGraph, Group, Heads, kept_channels, tell_heads
from .stand_ins import buffers_as_parameters, parameters_as_buffers, put_twins, take_twins
from .walks import one_line, tracing

_MAGNITUDE = tp.importance.GroupMagnitudeImportance(p=2)
_RANDOM = tp.importance.RandomImportance()
_MOST_NAMED = 4
_PERCENTS = (50, 40, 60, 35, 45, 55, 65, 30, 70, 25, 75, 20, 80)
_NOT_HERE = "channel pruning does not work on this model"
_WAY_OUT = "leave `macs` and channel sparsity out, or give the workload a `student` builder"


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a model can be pruned; found on its architecture alone.

    `layers` are the paths of the layers that lose channels. `tied`: the width between blocks follows the
    heads of attention, since the model's code takes the two to be one. `buffers`: floating-point buffers lose
    channels too. `deeper` are layers that lose `deeper_share` in place of the common share. `refused` says
    which layers keep their width, and why.
    """

    layers: frozenset[str]
    tied: bool = False
    buffers: bool = False
    deeper: frozenset[str] = frozenset()
    deeper_share: float = 0.0
    refused: tuple[str, ...] = field(default=(), compare=False)


def prunable_layers(model: nn.Module, share: float, sample: list[Tensor]) -> Cut:
    """How the model can lose the share of its channels; `model` itself is not changed.

    All layers but the one that gives the output take part, where that works. Some models reshape by sizes
    written in their code: there each group of layers is tried alone, and those that break the model keep
    their width. `sample` holds inputs of two samples.

    Raises:
        UnsupportedError: no layer can lose channels; the message names those that were tried, and why not.
    """
    model = plain_weights(copied(model))
    groups, tangled = _groups_of(model, sample)
    ways = _ways(model, groups, tangled)
    whole = next((way for way in ways if not _failure(model, share, sample, way)), None)
    if whole is not None:
        return whole
    parts = [_each_alone(model, share, sample, way, groups) for way in ways]
    best = max(parts, key=lambda part: len(part.layers), default=Cut(layers=frozenset(), refused=tangled))
    if not best.layers:
        reasons = named_layers(best.refused)
        raise UnsupportedError(
            f"{_NOT_HERE}: {reasons or 'no layer can lose channels but the last one'}; {_WAY_OUT}"
        )
    return best


def named_layers(refused: tuple[str, ...]) -> str:
    """The first few of `Cut.refused` in one sentence, and how many more there are."""
    more = len(refused) - _MOST_NAMED
    return "; ".join(refused[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def telling_share(model: nn.Module, sample: list[Tensor]) -> float:
    """A share at which whole heads leave another width than other channels, where there is one.

    A model whose code takes both to be one fails there, and not only at some of the shares tried later.
    """
    groups, _ = _groups_of(model, sample)
    heads = [group.heads for group in groups if group.heads and group.heads.count > 1]

    def tells(share: float) -> bool:
        return all(h.kept(share) * (h.width // h.count) != kept_channels(h.width, share) for h in heads)

    return next((percent / 100 for percent in _PERCENTS if tells(percent / 100)), _PERCENTS[0] / 100)


def free_groups(model: nn.Module, sample: list[Tensor], cut: Cut) -> list[frozenset[str]]:
    """Layers by group, of the groups whose width nothing but themselves has to follow."""
    groups, _ = _groups_of(model, sample)
    tie = _tie(groups) if cut.tied else None
    there = {path for path, _ in model.named_modules()}  # the layers of twins are not
    return [
        group.layers
        for group in groups
        if group.layers <= cut.layers & there
        and group.heads is None
        and (tie is None or group.width != tie.width)
    ]


def prune_channels(model: nn.Module, share: float, sample: list[Tensor], cut: Cut) -> None:
    """Remove the share of channels with the smallest weights from the layers of `cut`, in place.

    What is left is a multiple of 8 where that leaves anything, and at least one channel; of attention, whole
    heads are left.

    Raises:
        UnsupportedError: Torch-Pruning cannot trace the model, or the pruned model does not run.
    """
    failure = _prune(plain_weights(model), share, sample, cut, _MAGNITUDE)
    if failure:
        names = ", ".join(sorted(cut.layers)[:_MOST_NAMED])
        raise UnsupportedError(f"{_NOT_HERE}: {names}: {failure}; {_WAY_OUT}")


def _groups_of(model: nn.Module, sample: list[Tensor]) -> tuple[list[Group], tuple[str, ...]]:
    """Groups that can lose channels, and why other layers cannot."""
    if not any(isinstance(layer, LAYERS) for layer in model.modules()):
        raise UnsupportedError("the model has no convolution and no linear layer to prune")
    trial = copied(model).eval()
    put_twins(trial)
    for parameter in trial.parameters():
        parameter.requires_grad_(True)
    try:
        with tracing():
            graph = ChannelGraph(trial, sample)
            groups = list(graph.groups())
    except UnsupportedError:
        raise
    except Exception as error:  # Torch-Pruning raises whatever its tracing meets
        raise UnsupportedError(f"{_NOT_HERE}: {one_line(error)}; {_WAY_OUT}") from error
    return groups, tuple(_refusal(model, path, reason) for path, reason in graph.tangled.items())


def _refusal(model: nn.Module, path: str, reason: str) -> str:
    return f"{path} ({type(_named(model, path)).__name__}): {reason}"


def _ways(model: nn.Module, groups: list[Group], tangled: tuple[str, ...]) -> list[Cut]:
    """The ways to prune all layers, those that keep most freedom first."""
    layers = frozenset().union(*(group.layers for group in groups))
    heads = any(group.heads is not None and group.heads.count > 1 for group in groups)
    buffers = any(b.is_floating_point() and b.dim() and b.numel() > 1 for b in model.buffers())
    flags = product((False, True) if heads else (False,), (False, True) if buffers else (False,))
    if not layers:
        return []
    return [Cut(layers=layers, tied=tied, buffers=some, refused=tangled) for tied, some in flags]


def _each_alone(model: nn.Module, share: float, sample: list[Tensor], way: Cut, groups: list[Group]) -> Cut:
    """The groups that can be pruned, tried alone (with those that its width is tied to), then together."""
    works: list[frozenset[str]] = []
    refused = list(way.refused)
    for layers in _together(groups, way.tied):
        failure = _failure(model, share, sample, replace(way, layers=layers))
        if failure:
            refused.append(_refusal(model, min(layers), failure))
        else:
            works.append(layers)
    together = replace(way, layers=frozenset().union(*works), refused=tuple(refused))
    if not works or not _failure(model, share, sample, together):
        return together
    return _one_by_one(model, share, sample, together, works)


def _one_by_one(
    model: nn.Module, share: float, sample: list[Tensor], cut: Cut, works: list[frozenset[str]]
) -> Cut:
    """Of groups that can be pruned alone but not together, as many as there can be, the first ones first."""
    kept, refused = frozenset[str](), list(cut.refused)
    for layers in sorted(works, key=sorted):
        failure = _failure(model, share, sample, replace(cut, layers=kept | layers))
        if failure:
            refused.append(_refusal(model, min(layers), failure))
        else:
            kept |= layers
    return replace(cut, layers=kept, refused=tuple(refused))


def _together(groups: list[Group], tied: bool) -> Iterator[frozenset[str]]:
    heads = _tie(groups) if tied else None
    bound = [group for group in groups if heads and heads.width in (group.width, _inner(group))]
    if bound:
        yield frozenset().union(*(group.layers for group in bound))
    yield from (group.layers for group in groups if group not in bound)


def _inner(group: Group) -> int:
    return group.heads.width if group.heads else group.width


def _tie(groups: list[Group]) -> Heads | None:
    """The heads that widths follow: those of the first attention."""
    return next((group.heads for group in groups if group.heads and group.heads.count > 1), None)


def _named(model: nn.Module, path: str) -> nn.Module:
    """The layer at a path, or the one whose twin had a layer there."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return model.get_submodule(path.rpartition(".")[0])


def _failure(model: nn.Module, share: float, sample: list[Tensor], cut: Cut) -> str:
    """What goes wrong when a copy is pruned. Some faults show only for some choices of channels, so channels
    are also drawn at random."""
    draws = (_MAGNITUDE, _RANDOM, _RANDOM)
    failures = (_prune(copied(model), share, sample, cut, importance) for importance in draws)
    return next((failure for failure in failures if failure), "")


def _prune(model: nn.Module, share: float, sample: list[Tensor], cut: Cut, importance: Any) -> str:
    """Prune in place; what went wrong, or nothing."""
    model.eval()
    try:
        with torch.no_grad():
            before = first_output(model(*sample)).shape
        _cut_channels(model, share, sample, cut, importance)
        with torch.no_grad():
            after = first_output(model(*sample)).shape
            first_output(model(*(tensor[:1] for tensor in sample)))
    except UnsupportedError as error:
        return error.reason
    except Exception as error:  # Torch-Pruning raises whatever its tracing meets
        return one_line(error)
    return "" if after == before else f"its output {list(before)} would become {list(after)}"


def _cut_channels(model: nn.Module, share: float, sample: list[Tensor], cut: Cut, importance: Any) -> None:
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    shared = _shared(model)
    twins = put_twins(model)
    buffers = buffers_as_parameters(model) if cut.buffers else []
    for parameter in model.parameters():
        parameter.requires_grad_(True)  # the dependency graph is read from gradients
    with tracing():
        graph = ChannelGraph(model, sample)
        groups = [group for group in graph.groups(cut.layers) if group.layers <= cut.layers]
        heads = _tie(groups) if cut.tied else None
        gone = [
            (group, _gone(group, _share_of(group, share, cut), heads, graph.scores(group, importance)))
            for group in groups
        ]
        for twin in twins.values():
            twin.tag()
        for group, channels in gone:
            graph.remove(group, channels)
    parameters_as_buffers(buffers)
    take_twins(model, twins)
    for group in groups:
        if group.heads is not None and group.heads.count > 1 and group.heads.owner not in twins:
            tell_heads(model, group.heads, group.heads.kept(share))
    _share_again(model, shared)
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)


def _share_of(group: Group, share: float, cut: Cut) -> float:
    return cut.deeper_share if group.layers & cut.deeper else share


def _gone(group: Group, share: float, tied: Heads | None, scores: Tensor) -> list[int]:
    follows = tied if tied is not None and group.heads is None and group.width == tied.width else None
    kept = set(group.kept(share, follows, scores).tolist())
    return [channel for channel in range(group.width) if channel not in kept]


def _shared(model: nn.Module) -> list[list[str]]:
    """Names of parameters that are one and the same (tied weights)."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [same for same in names.values() if len(same) > 1]


def _share_again(model: nn.Module, shared: list[list[str]]) -> None:
    for first, *others in shared:
        parameter = model.get_parameter(first)
        for name in others:
            if model.get_parameter(name).shape != parameter.shape:
                raise UnsupportedError(f"{first} and {name} share their weights, and would differ in shape")
            path, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(path), attribute, parameter)
