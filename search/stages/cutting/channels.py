"""Which channels of a model hang together, and which of them go: Torch-Pruning's graph, read group by group.

A group is a set of channels that can only be removed together: outputs of one layer or more, the inputs of
the layers that read them, and the norms between (Fang et al. 2023, arXiv:2301.12900). How many channels of a
group stay follows from its size alone; which of them stay is decided by weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ..network.predict import output_layer
from .stand_ins import AttentionTwin
from .walks import Counted, TangledError, Walk, mapping_noted, one_line

_STEPS = 500
_STEPS_PER_NODE = 2  # walks that end take less than one
ROUND_TO = 8  # channel counts that vector kernels like
LAYERS = (nn.modules.conv._ConvNd, nn.Linear, nn.Embedding)
_HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "nhead", "nheads", "heads")
_WIDTHS = re.compile(r"dim|size|width|embed|hidden|inner|d_model|feature|channel")
_TANGLED = "the code that follows mixes its channels (a view or shuffle, rotary positions, shared keys?)"
_PRODUCTS = re.compile(r"Bmm|ScaledDot", re.IGNORECASE)


def kept_channels(channels: int, share: float) -> int:
    """How many of `channels` stay if `share` goes: the nearest multiple of 8, else at least 1."""
    rounded = round(channels * (1 - share) / ROUND_TO) * ROUND_TO
    return min(channels, rounded or max(1, round(channels * (1 - share))))


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Attention's heads: how many, over which width, and the path of the module that knows their number."""

    count: int
    width: int
    owner: str

    def kept(self, share: float) -> int:
        """How many stay if `share` goes, at least one."""
        return max(1, int(self.count * (1 - share) + 0.5))


@dataclass(frozen=True, kw_only=True)
class Group:
    """Channels that go together. `layers` are the paths of the layers that give them, `root` the first one's.

    `width` counts the channels of the root. `blocks`: channels at equal places of so many equal parts go
    together (grouped convolutions and norms). `heads` is None outside of attention.
    """

    root: str
    layers: frozenset[str]
    width: int
    blocks: int = 1
    heads: Heads | None = None

    def kept(self, share: float, tied: Heads | None, scores: Tensor) -> Tensor:
        """The places of the channels that stay if `share` goes: those with the highest scores, ascending.

        `tied` are the heads that the group's width must follow.
        """
        heads = self.heads
        if heads is not None and heads.count > 1:
            parts = scores.reshape(-1, heads.count, heads.width // heads.count)
            best = _best(parts.sum((0, 2)), heads.kept(share))
            chosen = torch.zeros(parts.shape, dtype=torch.bool)
            chosen[:, best] = True
            return chosen.flatten().nonzero().flatten()
        blocks = self.width // heads.width if heads else self.blocks
        parts = scores.reshape(blocks, -1)
        if tied is not None:
            count = tied.kept(share) * (tied.width // tied.count)
        else:
            count = max(1, round(kept_channels(self.width, share) / blocks))
        chosen = torch.zeros(parts.shape, dtype=torch.bool)
        chosen[:, _best(parts.sum(0), min(count, parts.shape[1]))] = True
        return chosen.flatten().nonzero().flatten()


def _best(scores: Tensor, count: int) -> Tensor:
    return torch.sort(scores, descending=True, stable=True).indices[:count]


class ChannelGraph:
    """The dependency graph of a model whose special layers have twins, see `stand_ins.put_twins`."""

    def __init__(self, model: nn.Module, sample: list[Tensor]) -> None:
        self.model = model
        self._batch = len(sample[0])
        self._unknown: set[Any] = set()
        with mapping_noted(self._unknown):
            self._graph = tp.DependencyGraph().build_dependency(
                model, tuple(sample), forward_fn=lambda m, inputs: m(*inputs), verbose=False
            )
        self._last = output_layer(model, sample)
        self._walk = Walk(_STEPS + _STEPS_PER_NODE * len(self._graph.module2node))
        for node in self._graph.module2node.values():
            node.dependencies = Counted(node.dependencies, self._walk)
        self.tangled: dict[str, str] = {}
        """Layers whose channels hang together in a way that cannot be followed, and why; see `groups`."""

    def groups(self, among: frozenset[str] | None = None) -> Iterator[Group]:
        """All groups that can lose channels (`among`: of those layers alone); those that reach the model's
        output cannot."""
        seen, names = {self._last}, self._graph._module2name
        for root in list(self._graph.module2node):
            if not isinstance(root, LAYERS) or root in seen or not (among is None or names[root] in among):
                continue
            seen.add(root)
            try:
                items = self._all(root)
                gives = {dep.target.module for dep, _ in items if self._gives(dep.target, dep.handler)}
                group = None if self._last in gives else self._described(items)
            except Exception as error:  # Torch-Pruning raises whatever its walk meets
                own = isinstance(error, TangledError)
                reason = _TANGLED if own else f"its channels cannot be followed ({one_line(error)})"
                self.tangled[self._graph._module2name[root]] = reason
                continue
            seen |= gives
            if group is not None:
                yield group

    def _all(self, root: nn.Module) -> Any:
        items = self._group(root, range(self._graph.get_out_channels(root)))
        if any(dep.target in self._unknown or self._too_many(dep, places) for dep, places in items):
            raise TangledError  # a view whose channels Torch-Pruning cannot tell apart
        return items

    def _too_many(self, dep: Any, places: Any) -> bool:
        """Whether more channels of a layer hang on the root's than it has: they were counted wrongly."""
        if not isinstance(dep.target.module, LAYERS):
            return False
        gives = self._graph.is_out_channel_pruning_fn(dep.handler)
        count = self._graph.get_out_channels if gives else self._graph.get_in_channels
        return len(set(places)) > int(count(dep.target.module))

    def _gives(self, node: Any, handler: Any) -> bool:
        return self._graph.is_out_channel_pruning_fn(handler) and isinstance(node.module, LAYERS)

    def _reads(self, node: Any, handler: Any) -> bool:
        return self._graph.is_in_channel_pruning_fn(handler) and isinstance(node.module, LAYERS)

    def scores(self, group: Group, importance: Any) -> Tensor:
        """How much each of the root's channels matters."""
        found = importance(self._items(group, range(group.width)))
        return torch.zeros(group.width) if found is None else found.detach().float().cpu()

    def remove(self, group: Group, channels: list[int]) -> None:
        """Remove channels of the root, with everything that hangs on them."""
        if channels:
            self._items(group, channels).prune()

    def _items(self, group: Group, channels: Any) -> Any:
        return self._group(self.model.get_submodule(group.root), list(channels))

    def _group(self, root: nn.Module, channels: Any) -> Any:
        prune = self._graph.get_pruner_of_module(root).prune_out_channels
        self._walk.left = self._walk.most
        with mapping_noted(self._unknown):
            return self._graph.get_pruning_group(root, prune, channels)

    def _described(self, items: Any) -> Group | None:
        names = self._graph._module2name
        targets = [(dep.target, dep.handler, len(places)) for dep, places in items]
        if any(node.type == tp.ops.OPTYPE.OUTPUT for node, _, _ in targets):
            return None
        root = items[0].dep.target.module
        width = self._graph.get_out_channels(root)
        gives = [node.module for node, handler, _ in targets if self._gives(node, handler)]
        if not any(self._reads(node, handler) and node.module not in gives for node, handler, _ in targets):
            raise TangledError  # who reads these channels was not seen
        layers = frozenset(names[module] for module in gives)
        blocks = math.lcm(*[_blocks_of(node.module) for node, _, _ in targets])
        heads = self._heads(targets, layers, width)
        return (
            None
            if width % blocks
            else Group(root=names[root], layers=layers, width=width, blocks=blocks, heads=heads)
        )

    def _heads(self, targets: list[Any], layers: frozenset[str], width: int) -> Heads | None:
        """The heads of the attention in which the channels are multiplied, if they are."""
        reads = [
            count
            for node, handler, count in targets
            if isinstance(node.module, nn.Linear) and not self._graph.is_out_channel_pruning_fn(handler)
        ]
        inner = min(reads, default=width)
        found = [self._known_heads(layer, inner) for layer in sorted(layers)]
        products = [node.grad_fn for node, _, _ in targets if _is_product(node.grad_fn)]
        inside = any(
            isinstance(self._parent(layer), AttentionTwin) and not layer.endswith(".out") for layer in layers
        )
        if not (products or inside):
            return None
        if not reads or width % inner:
            raise TangledError  # keys and values that several heads share
        known = next(filter(None, found), None)
        return known or Heads(count=_traced_heads(products, inner, self._batch), width=inner, owner="")

    def _parent(self, path: str) -> nn.Module:
        return self.model.get_submodule(path.rpartition(".")[0])

    def _known_heads(self, path: str, width: int) -> Heads | None:
        while path:
            path = path.rpartition(".")[0]
            module = self.model.get_submodule(path)
            for name in _HEADS:
                count = getattr(module, name, None)
                if type(count) is int and count > 0 and width % count == 0:
                    return Heads(count=count, width=width, owner=path)
        return None


def _is_product(function: Any) -> bool:
    return hasattr(function, "name") and bool(_PRODUCTS.search(function.name()))


def _traced_heads(products: list[Any], width: int, batch: int) -> int:
    """The number of heads that the shapes of a product show; 1 where they show none."""
    for function in products:
        saved = getattr(function, "_saved_query", None)
        count = saved.shape[1] if saved is not None and saved.dim() == 4 else 0
        saved = getattr(function, "_saved_self", None)
        if saved is not None and saved.dim() == 3 and saved.shape[0] % batch == 0:
            count = saved.shape[0] // batch
        if count and width % count == 0:
            return int(count)
    return 1


def _blocks_of(module: Any) -> int:
    if isinstance(module, nn.modules.conv._ConvNd):
        depthwise = module.groups == module.out_channels == module.in_channels
        return 1 if depthwise else int(module.groups)
    return int(module.num_groups) if isinstance(module, nn.GroupNorm) else 1


def tell_heads(model: nn.Module, heads: Heads, left: int) -> None:
    """Correct the numbers of heads, and the width over all of them, that attention's own code reads."""
    owner = model.get_submodule(heads.owner)
    width = heads.width // heads.count * left
    for name, value in list(vars(owner).items()):
        if type(value) is not int:
            continue
        if name in _HEADS and value == heads.count:
            setattr(owner, name, left)
        elif value == heads.width and _WIDTHS.search(name):
            setattr(owner, name, width)
