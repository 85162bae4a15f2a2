"""Hidden states of teacher and student, compared in training (FitNets: Romero et al. 2015, arXiv:1412.6550).

The teacher's states over the training split are computed once and kept; the student's pass through a learned
linear map where the two differ in width. The map serves training alone and is thrown away after it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....profiles.errors import UserError
from ..cutting.prune import output_layer
from ..network.predict import tensors

LARGEST_BYTES = 512 * 2**20  # larger states of a layer are kept as means over positions
_CHANNELS_SECOND = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)
_BATCH = 256

Pairs = tuple[tuple[str, str], ...]
"""Layers that are compared: module path in the student, and in the teacher. "" is the input of the layer that
gives the output; other paths stand for the module's output."""

LAST: Pairs = (("", ""),)


def layer_pairs(hidden: Mapping[str, str] | None) -> Pairs:
    """The pairs that a workload's `hidden` asks for, the last hidden layer first."""
    return LAST + tuple(sorted((hidden or {}).items()))


def check_pairs(pairs: Pairs, student: nn.Module, teacher: nn.Module) -> None:
    """Check that each path names a module.

    Raises:
        UserError: one does not; the message lists the nearest that exist.
    """
    for ours, theirs in pairs:
        check_path(ours, student, "the student")
        check_path(theirs, teacher, "the teacher")


def check_path(path: str, model: nn.Module, whose: str) -> None:
    """Raise UserError where a path is not that of a module of the model."""
    names = [name for name, _ in model.named_modules() if name]
    if not path or path in names:
        return
    near = difflib.get_close_matches(path, names, n=3, cutoff=0.3)
    raise UserError(
        f"{whose} has no module {path!r}",
        place="`hidden` of the workload",
        found=repr(path),
        accepted=", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else ""),
        remedy=f"did you mean {' or '.join(map(repr, near))}?" if near else "name one of its modules",
    )


class Capture:
    """Keeps the states of some layers from the last forward pass, as [N, positions ..., channels]."""

    def __init__(self, model: nn.Module, paths: tuple[str, ...], sample: list[Tensor]) -> None:
        self.states: dict[str, Tensor] = {}
        self._handles = []
        for path in paths:
            if path:
                module = model.get_submodule(path)
                handle = module.register_forward_hook(self._output_of(path), with_kwargs=True)
            else:
                handle = _last(model, sample).register_forward_hook(self._input, with_kwargs=True)
            self._handles.append(handle)

    def close(self) -> None:
        """Take the hooks off the model."""
        for handle in self._handles:
            handle.remove()

    def _output_of(self, path: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, (tuple, list)) else output
            self.states[path] = _channels_last(module, _tensor(first, path))

        return hook

    def _input(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        value = args[0] if args else next(iter(kwargs.values()))
        self.states[""] = _channels_last(module, value)


def _last(model: nn.Module, sample: list[Tensor]) -> nn.Module:
    was_training = model.training
    model.eval()
    found = output_layer(model, sample)
    model.train(was_training)
    return found


def _tensor(value: Any, path: str) -> Tensor:
    if isinstance(value, Tensor) and value.ndim > 1 and value.is_floating_point():
        return value
    raise UserError(
        f"the output of module {path!r} cannot be compared",
        place="`hidden` of the workload",
        found=f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__,
        accepted="a tensor of decimal numbers with samples along axis 0 (the first of a tuple)",
    )


def _channels_last(module: nn.Module, state: Tensor) -> Tensor:
    """Convolutions have their channels in axis 1, layers of sequences in the last one; pictures from layers
    without weights are taken to be those of convolutions."""
    kinds = [type(part) for part in module.modules()]
    convolves = any(issubclass(kind, _CHANNELS_SECOND) for kind in kinds)
    plain = not any(issubclass(kind, (nn.Linear, nn.LayerNorm)) for kind in kinds)
    return state.movedim(1, -1) if state.ndim > 2 and (convolves or (plain and state.ndim > 3)) else state


@contextmanager
def captured(model: nn.Module, paths: tuple[str, ...], sample: list[Tensor]) -> Iterator[Capture]:
    """Watch some layers for as long as a block runs. Paths as in `Pairs`."""
    capture = Capture(model, paths, sample)
    try:
        yield capture
    finally:
        capture.close()


def teacher_states(
    model: nn.Module, paths: tuple[str, ...], inputs: Mapping[str, Any]
) -> dict[str, np.ndarray[Any, Any]]:
    """States [N, positions ..., channels] (float32) of some layers over all samples, in evaluation mode."""
    model.eval()
    batches = list(zip(*(torch.split(tensor, _BATCH) for tensor in tensors(inputs)), strict=True))
    parts: dict[str, list[Tensor]] = {path: [] for path in paths}
    with torch.no_grad(), captured(model, paths, [tensor[:2] for tensor in batches[0]]) as capture:
        for batch in batches:
            model(*batch)
            for path in paths:
                parts[path].append(_affordable(capture.states[path].float(), len(batches)).clone())
    return {path: torch.cat(parts[path]).numpy() for path in paths}


def _affordable(state: Tensor, batches: int) -> Tensor:
    whole = state[0].numel() * state.element_size() * _BATCH * batches
    return _mean(state) if whole > LARGEST_BYTES else state


def _mean(state: Tensor) -> Tensor:
    return state.flatten(1, -2).mean(dim=1) if state.ndim > 2 else state


def write_states(states: Mapping[str, np.ndarray[Any, Any]], into: Path) -> list[str]:
    """One file for each layer; returns the order of the layers."""
    layers = sorted(states)
    for number, layer in enumerate(layers):
        np.save(into / f"states-{number}.npy", states[layer])
    return layers


def read_states(path: Path, layers: list[str]) -> dict[str, Tensor]:
    """What `write_states` wrote."""
    return {layer: torch.from_numpy(np.load(path / f"states-{n}.npy")) for n, layer in enumerate(layers)}


@dataclass(frozen=True, kw_only=True)
class HiddenTargets:
    """Which layers are compared, and the teacher's states by its path (axis 0 = training samples)."""

    pairs: Pairs
    states: Mapping[str, Tensor] = field(default_factory=dict)


class HiddenMatching:
    """Compares a student's states with the teacher's while it trains; `maps` are trained with it.

    The distance of a layer is its mean squared error as a share of the variance of the teacher's states, so
    that a weight means the same for every layer and model. Maps where positions agree in number work on
    each position; else both sides are compared as means over positions.
    """

    def __init__(self, model: nn.Module, teacher: HiddenTargets, sample: list[Tensor]) -> None:
        self.teacher = teacher
        paths = tuple(ours for ours, _ in teacher.pairs)
        self.capture = Capture(model, paths, sample)
        was_training = model.training
        with torch.no_grad():
            model.eval()(*sample)
        model.train(was_training)
        self._scales = [max(float(teacher.states[t].var()), 1e-12) for _, t in teacher.pairs]
        self.maps = nn.ModuleList(self._map(ours, theirs) for ours, theirs in teacher.pairs)

    def _map(self, ours: str, theirs: str) -> nn.Module:
        width, wanted = self.capture.states[ours].shape[-1], self.teacher.states[theirs].shape[-1]
        return nn.Identity() if width == wanted else nn.Linear(width, wanted)

    def distance(self, rows: Tensor) -> Tensor:
        """Mean distance over the layers, of the forward pass that was made last with these samples."""
        total = torch.zeros(())
        for (ours, theirs), scale, layer in zip(self.teacher.pairs, self._scales, self.maps, strict=True):
            state, wanted = self.capture.states[ours], self.teacher.states[theirs][rows]
            if state.shape[:-1] != wanted.shape[:-1]:
                state, wanted = _mean(state), _mean(wanted)
            total = total + F.mse_loss(layer(state), wanted) / scale
        return total / len(self.teacher.pairs)

    def close(self) -> None:
        """Take the hooks off the student."""
        self.capture.close()
