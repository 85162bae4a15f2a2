"""Where the channels that a layer gives are read: paths that a positive factor goes through as it is."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CONSUMERS = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
"""Layers whose weights can take a factor of a channel that they read."""
# Operators, without their overloads, by what they do to a factor of a channel.
_ELEMENTWISE = (
    "relu",
    "relu_",
    "leaky_relu",
    "leaky_relu_",
    "prelu",
    "dropout",
    "clone",
    "contiguous",
    "abs",
)
_SPATIAL = (
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_linear1d", "upsample_bilinear2d",
)  # fmt: skip
_FLAT = ("flatten", "view", "reshape", "squeeze", "mean")


@dataclass(frozen=True, kw_only=True)
class Path:
    """The layer or norm that gives channels, and all layers that read them."""

    maker: str
    readers: tuple[str, ...]

    @torch.no_grad()
    def scale(self, model: nn.Module, factors: Tensor) -> None:
        """Divide what is given by the factors, and multiply the weights that read it."""
        maker: Any = model.get_submodule(self.maker)
        if isinstance(maker, _TRANSPOSED):
            _scale(maker.weight, 1, maker.groups, 1 / factors)
        else:
            maker.weight.copy_(maker.weight / factors.reshape(-1, *[1] * (maker.weight.dim() - 1)))
        if maker.bias is not None:
            maker.bias.div_(factors)
        for name in self.readers:
            reader: Any = model.get_submodule(name)
            if isinstance(reader, _TRANSPOSED):
                reader.weight.mul_(factors.reshape(-1, *[1] * (reader.weight.dim() - 1)))
            else:
                _scale(reader.weight, 1, getattr(reader, "groups", 1), factors)


def _scale(weight: Tensor, axis: int, groups: int, factors: Tensor) -> None:
    """Multiply along axis 1, whose channels each group of axis 0 counts anew."""
    parts = weight.reshape(groups, -1, *weight.shape[1:])
    weight.copy_((parts * factors.reshape(groups, 1, -1, *[1] * (weight.dim() - 2))).reshape(weight.shape))


def paths(model: nn.Module, args: Any, kwargs: Any) -> tuple[Path, ...]:
    """All such paths of a model in evaluation mode; none where it cannot be followed."""
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(model, tuple(args), dict(kwargs))
    except Exception:  # tracing raises whatever torch raises
        return ()
    return tuple(_Follower(model, program).paths())


class _Follower:
    """Walks through an exported program from each maker to its readers."""

    def __init__(self, model: nn.Module, program: Any) -> None:
        self.program = program
        self.graph = program.graph
        held: Mapping[str, str] = program.graph_signature.inputs_to_parameters
        uses = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
        single = {name for name, p in model.named_parameters() if uses[id(p)] == 1}
        self.parameter = {
            node.name: held[node.name]
            for node in self.graph.nodes
            if node.op == "placeholder" and held.get(node.name) in single and len(node.users) == 1
        }
        self.modules = dict(model.named_modules())

    def paths(self) -> Iterator[Path]:
        for node in self.graph.nodes:
            maker = self._layer(node, (*CONSUMERS, *_NORMS))
            if maker is None or not self._owns_bias(node, maker):
                continue
            readers = list(self._readers(node, self._axis(node, maker)))
            if readers and None not in readers:
                yield Path(maker=maker, readers=tuple(name for name in readers if name))

    def _layer(self, node: Any, kinds: tuple[type, ...]) -> str | None:
        """The module whose weight a node applies, if that weight is its own alone."""
        if node.op != "call_function" or len(node.args) < 2:
            return None
        name = self.parameter.get(getattr(node.args[1], "name", ""), "")
        owner, _, attribute = name.rpartition(".")
        module = self.modules.get(owner) if name else None
        return owner if attribute == "weight" and type(module) in kinds else None

    def _owns_bias(self, node: Any, maker: str) -> bool:
        bias = node.args[2] if len(node.args) > 2 else None
        return bias is None or self.parameter.get(bias.name) == f"{maker}.bias"

    def _axis(self, node: Any, maker: str) -> int:
        return self._rank(node) - 1 if isinstance(self.modules[maker], nn.Linear) else 1

    def _readers(self, node: Any, axis: int) -> Iterator[str | None]:
        """Names of the layers that read the channels along an axis; None where something else does."""
        for user in node.users:
            reader = self._layer(user, CONSUMERS)
            if node not in user.args[:1] or node in user.args[1:]:
                yield None
            elif reader is not None:
                linear = isinstance(self.modules[reader], nn.Linear)
                yield reader if axis == (self._rank(node) - 1 if linear else 1) else None
            elif self._passes(node, user, axis):
                yield from self._readers(user, axis)
            else:
                yield None
        if not node.users:
            yield None

    def _passes(self, node: Any, user: Any, axis: int) -> bool:
        kind = str(user.target).removeprefix("aten.").partition(".")[0]
        if kind in _ELEMENTWISE:
            return True
        if kind in _SPATIAL:
            return axis == 1 and self._rank(node) > 2
        if kind not in _FLAT or axis != 1:
            return False
        before, after = node.meta["val"].shape, user.meta["val"].shape
        if len(after) < 2 or before[1] != after[1] or before[0] != after[0]:
            return False
        return kind == "mean" or before.numel() == before[0] * before[1]

    @staticmethod
    def _rank(node: Any) -> int:
        return int(node.meta["val"].dim())
