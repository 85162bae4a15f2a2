"""Fewer blocks: a share of the equal blocks in each stack of a model, evenly spread over its depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ....profiles.errors import UnsupportedError
from ..network.predict import first_output

_COUNTS = ("num_layers", "n_layers", "n_layer", "num_hidden_layers", "depth", "num_blocks", "n_blocks")


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Equal blocks that run one after another: children `start` to `start + count` of the list at `path`."""

    path: str
    start: int
    count: int

    def __str__(self) -> str:
        return f"{self.path or 'the model'}[{self.start}:{self.start + self.count}]"


def kept_blocks(count: int, share: float) -> tuple[int, ...]:
    """Which of `count` blocks stay: the share of them, at least one, spread evenly, first and last included.

    One block alone is the first. Numbers count from 0.
    """
    kept = min(count, max(1, int(count * share + 0.5)))
    if kept == 1:
        return (0,)
    return tuple(int(i * (count - 1) / (kept - 1) + 0.5) for i in range(kept))


def find_stacks(model: nn.Module, sample: list[Tensor]) -> tuple[Stack, ...]:
    """Stacks of two blocks or more.

    Blocks are neighbours in an nn.Sequential or nn.ModuleList, of one class and with parameters of equal
    names and shapes, and each takes as its first input what the one before gave. `sample` holds inputs of
    the model. The answer depends on the architecture alone.
    """
    found = [stack for path, parent in _lists(model) for stack in _runs(path, parent)]
    if not found:
        return ()
    seen = _inputs_and_outputs(model, sample, found)
    parts = [part for stack in found for part in _chained(stack, model, seen)]
    # A stack within a block of another stack goes with its block.
    return tuple(part for part in parts if not any(_inside(part, other) for other in parts))


def reduce_depth(model: nn.Module, share: float, sample: list[Tensor]) -> tuple[Stack, ...]:
    """Keep the share of the blocks of each stack, in place, and return the stacks as they were.

    Raises:
        UnsupportedError: there is no stack of equal blocks, or the model does not run without some of them.
    """
    if not 0 < share <= 1:
        raise UnsupportedError(f"depth={share:g}: the share of blocks to keep lies above 0 and up to 1")
    stacks = find_stacks(model, sample) if share < 1 else ()
    if not stacks and share < 1:
        raise UnsupportedError(
            f"depth={share:g}: {type(model).__name__} has no stack of equal blocks, that is, neighbours in "
            "an nn.Sequential or nn.ModuleList of one class and equal shapes, each fed by the one before; "
            "leave `depth` out, or give the workload a `student` builder"
        )
    with torch.no_grad():
        before = first_output(model.eval()(*sample)).shape
    lengths = {s.path: len(list(model.get_submodule(s.path).children())) for s in stacks}
    for stack in reversed(stacks):  # from the end, so that positions in one list stay true
        _cut(model, stack, share)
    for path, length in lengths.items():
        _tell_counts(model, path, length)
    failure = _failure(model, sample, before)
    if failure:
        names = ", ".join(str(stack) for stack in stacks)
        raise UnsupportedError(
            f"depth={share:g}: the model does not run with fewer blocks in {names}: {failure}; "
            "leave `depth` out, or give the workload a `student` builder"
        )
    return stacks


def _lists(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for path, module in model.named_modules():
        if isinstance(module, (nn.Sequential, nn.ModuleList)):
            yield path, module


def _runs(path: str, parent: nn.Module) -> Iterator[Stack]:
    looks = [_look(child) for child in parent.children()]
    start = 0
    for stop in range(1, len(looks) + 1):
        if stop < len(looks) and looks[stop] == looks[start]:
            continue
        if stop - start > 1 and looks[start][1]:
            yield Stack(path=path, start=start, count=stop - start)
        start = stop


def _look(block: nn.Module) -> tuple[Any, ...]:
    """What two equal blocks have in common: class, parameters with their shapes, classes of all parts."""
    parameters = tuple((name, tuple(p.shape)) for name, p in block.named_parameters())
    parts = tuple((name, type(part)) for name, part in block.named_modules())
    settings = tuple(part.extra_repr() for part in block.modules())
    return type(block), parameters, parts, settings


def _blocks(model: nn.Module, stack: Stack) -> list[nn.Module]:
    children = list(model.get_submodule(stack.path).children())
    return children[stack.start : stack.start + stack.count]


Seen = dict[nn.Module, tuple[Tensor | None, Tensor | None]]


def _inputs_and_outputs(model: nn.Module, sample: list[Tensor], stacks: Sequence[Stack]) -> Seen:
    """First input and first output of each block that ran."""
    seen: Seen = {}

    def note(block: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        taken = next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
        given = output[0] if isinstance(output, (tuple, list)) and output else output
        seen[block] = taken, given if isinstance(given, Tensor) else None

    blocks = {block for stack in stacks for block in _blocks(model, stack)}
    hooks = [block.register_forward_hook(note, with_kwargs=True) for block in blocks]
    try:
        with torch.no_grad():
            model.eval()(*sample)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _chained(stack: Stack, model: nn.Module, seen: Seen) -> Iterator[Stack]:
    """The parts of a run of equal blocks in which each feeds the next."""
    blocks = _blocks(model, stack)
    start = 0
    for stop in range(1, len(blocks) + 1):
        if stop < len(blocks) and _feeds(seen.get(blocks[stop - 1]), seen.get(blocks[stop])):
            continue
        if stop - start > 1:
            yield Stack(path=stack.path, start=stack.start + start, count=stop - start)
        start = stop


def _feeds(
    one: tuple[Tensor | None, Tensor | None] | None, other: tuple[Tensor | None, Tensor | None] | None
) -> bool:
    given, taken = one[1] if one else None, other[0] if other else None
    if given is None or taken is None or given.shape != taken.shape:
        return False
    return given is taken or torch.equal(given, taken)


def _inside(part: Stack, other: Stack) -> bool:
    indexes = range(other.start, other.start + other.count)
    prefix = f"{other.path}." if other.path else ""
    return part != other and any(f"{part.path}.".startswith(f"{prefix}{i}.") for i in indexes)


def _cut(model: nn.Module, stack: Stack, share: float) -> None:
    parent: Any = model.get_submodule(stack.path)
    kept = {stack.start + i for i in kept_blocks(stack.count, share)}
    for index in reversed(range(stack.start, stack.start + stack.count)):
        if index not in kept:
            del parent[index]


def _failure(model: nn.Module, sample: list[Tensor], shape: torch.Size) -> str:
    try:
        with torch.no_grad():
            after = first_output(model(*sample)).shape
    except Exception as error:  # the user's own forward
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return "" if after == shape else f"its output {list(shape)} would become {list(after)}"


def _tell_counts(model: nn.Module, path: str, length: int) -> None:
    """Correct the numbers of layers that the code around a list reads, on modules and on their `config`."""
    left = len(list(model.get_submodule(path).children()))
    names = path.split(".") if path else []
    owners = [model.get_submodule(".".join(names[:i])) for i in range(len(names) + 1)]
    for owner in owners:
        config = vars(owner).get("config")
        if config is not None and _has_count(config, length):
            changed = copy.copy(config)  # the user's code may share it between models
            _set_counts(changed, length, left)
            for module in model.modules():
                if vars(module).get("config") is config:
                    module.config = changed
        _set_counts(owner, length, left)


def _has_count(target: object, length: int) -> bool:
    values = vars(target) if hasattr(target, "__dict__") else {}
    return any(type(values.get(name)) is int and values[name] == length for name in _COUNTS)


def _set_counts(target: object, length: int, left: int) -> None:
    for name in _COUNTS:
        value = vars(target).get(name)
        if type(value) is int and value == length:
            setattr(target, name, left)
