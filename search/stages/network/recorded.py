"""A network's graph of operations, recorded while it runs for one sample."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import floor, log2
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from ...record.untrained import UNTOLD, Untrained
from ...structure.graph import (
    FIXED,
    IDENTITY,
    INPUT,
    MOVED,
    PRODUCT,
    RELU,
    SUM,
    WEIGHT,
    ZERO,
    Operation,
    OperationGraph,
)
from ...structure.told import told_by
from .operators import read

MOST = 20_000
"""Operations that are recorded; a network of more tells nothing."""
_MANY = 1024  # values of a weight say how it starts
_USUAL = frozenset({"eps", "momentum"})
_PLAIN = frozenset({SUM, PRODUCT, IDENTITY, RELU})  # which nothing but their operands decides
_IN_PLACE = re.compile(r"_(?=\.|$)")


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what a model does. It never fails: of what cannot be followed nothing is told.

    It stands below all that PyTorch decomposes, so that control flow, functions, TorchScript and modules that
    are called twice are seen as what ran.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: list[Operation] = []
        self._outputs: tuple[int, ...] = ()
        kept: Any = WeakIdKeyDictionary
        self._places = kept()  # of the tensors that are alive
        self._parameters: dict[int, tuple[str, Tensor]] = {}
        self._weights: dict[int, Tensor] = {}  # by their places
        self._learned: dict[int, int] = {}  # places of what is made of weights alone: how many values
        self._live: set[int] = set()  # places of what depends on an input
        self._storages: Counter[int] = Counter()
        self._failed = self._decided = False

    def run(self, model: nn.Module, inputs: Sequence[Tensor]) -> Any:
        """The model's outputs for these inputs."""
        self._parameters = {id(one): (name, one) for name, one in model.named_parameters()}
        for one in inputs:
            self._put(one, self._add(Operation(INPUT, settings=f"{one.dtype} {tuple(one.shape[1:])}")))
        self._live = set(range(len(self._made)))
        with self:
            given = model(*inputs)
        self._tried(lambda: self._end(given))
        return given

    def told(self, model: nn.Module) -> Untrained:
        """What the recorded network tells. What Python decided by values that depend on an input is no
        function that the graph has."""
        found: list[Untrained] = []
        self._tried(lambda: found.append(told_by(self._graph(), beside=_when_trained(model))))
        if self._failed or not found or not self._outputs:
            return UNTOLD
        return replace(found[0], function="") if self._decided else found[0]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _is_whole(func.name()):
            with self:
                return func.decompose(*args, **kwargs)
        operands: list[int] = []
        self._tried(lambda: operands.extend(map(self._of, _tensors((args, kwargs)))))
        result = func(*args, **kwargs)
        self._tried(lambda: self._note(func, args, kwargs, operands, result))
        return result

    def _graph(self) -> OperationGraph:
        made = list(self._made)
        for place, tensor in self._weights.items():
            made[place] = made[place]._replace(settings=_beginning(tensor))
        return OperationGraph(tuple(made), self._outputs)

    def _tried(self, work: Callable[[], Any]) -> None:
        """Nothing that fails here may stop a model."""
        if not self._failed:
            try:
                work()
            except Exception:  # tensors of kinds that have no storage, no values, no order
                self._failed = True

    def _end(self, given: Any) -> None:
        self._outputs = tuple(
            self._of(leaf) for leaf in pytree.tree_leaves(given) if isinstance(leaf, Tensor)
        )

    def _note(
        self, func: Any, args: Any, kwargs: Mapping[str, Any], operands: Sequence[int], result: Any
    ) -> None:
        if torch.Tag.data_dependent_output in func.tags and self._live.intersection(operands):
            self._decided = True
        place = self._operation(func, args, kwargs, operands, result)
        for number, tensor in enumerate(_tensors(result)):
            self._put(tensor, self._part(place, number) if number else place)
        if func._schema.is_mutable:
            given = {**dict(zip((a.name for a in func._schema.arguments), args, strict=False)), **kwargs}
            for argument in func._schema.arguments:
                if argument.alias_info is not None and argument.alias_info.is_write:
                    for tensor in _tensors(given.get(argument.name)):
                        self._written(tensor, place)

    def _operation(
        self, func: Any, args: Any, kwargs: Mapping[str, Any], operands: Sequence[int], result: Any
    ) -> int:
        learned = [self._learned[place] for place in operands if place in self._learned]
        reading = read(func, args, result, learned=bool(learned), plain=not kwargs)
        only = bool(operands) and len(learned) == len(operands)
        settings = "" if reading.kind in _PLAIN else _said(_IN_PLACE.sub("", func.name()), args, kwargs)
        random = torch.Tag.nondeterministic_seeded in func.tags
        place = self._add(
            Operation(
                kind=reading.kind,
                inputs=() if reading.kind == ZERO else tuple(operands),
                settings=settings,
                kernel=reading.kernel,
                stride=reading.stride,
                channels=reading.channels,
                weights=0 if only else sum(learned),
                weight=f"random {len(self._made)}" if random else "",
            )
        )
        if only:
            self._learned[place] = sum(learned)
        if self._live.intersection(operands):
            self._live.add(place)
        return place

    def _part(self, place: int, number: int) -> int:
        """A further result of an operation."""
        return self._follow(Operation(MOVED, (place,), f"result {number}"))

    def _written(self, tensor: Tensor, place: int) -> None:
        """A tensor was changed, and with it what shares its memory."""
        self._put(tensor, place)
        storage = tensor.untyped_storage()._cdata
        if self._storages[storage] < 2:
            return
        for other, before in list(self._places.items()):
            if other is not tensor and other.untyped_storage()._cdata == storage and _touch(other, tensor):
                how = f"written {_geometry(other)} {_geometry(tensor)}"
                self._places[other] = self._follow(Operation(MOVED, (before, place), how))

    def _follow(self, operation: Operation) -> int:
        place = self._add(operation)
        if self._live.intersection(operation.inputs):
            self._live.add(place)
        if all(source in self._learned for source in operation.inputs):
            self._learned[place] = max(self._learned[source] for source in operation.inputs)
        return place

    def _of(self, tensor: Tensor) -> int:
        """The place of what gave a tensor; of weights and fixed values where nothing did."""
        found: int | None = self._places.get(tensor)
        if found is not None:
            return found
        known = self._parameters.get(id(tensor))
        if known is None:
            with torch._C._DisableTorchDispatch():
                place = self._add(Operation(FIXED, settings=_values(tensor)))
        else:
            place = self._add(Operation(WEIGHT, weight=known[0]))
            self._weights[place] = known[1]
            self._learned[place] = tensor.numel()
        self._put(tensor, place)
        return place

    def _put(self, tensor: Tensor, place: int) -> None:
        if tensor not in self._places:
            self._storages[tensor.untyped_storage()._cdata] += 1
        self._places[tensor] = place

    def _add(self, operation: Operation) -> int:
        if len(self._made) >= MOST:
            raise OverflowError
        self._made.append(operation)
        return len(self._made) - 1


@lru_cache(maxsize=4096)
def _is_whole(name: str) -> bool:
    """Whether an operator is nothing but others, as only inference mode leaves it."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd"))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors(one)


def _said(name: str, args: Any, kwargs: Mapping[str, Any]) -> str:
    """What an operator is called with beside tensors."""
    return f"{name} {_plain(args)} {_plain(list(kwargs.items())) if kwargs else ''}"


def _plain(value: Any) -> str:
    if isinstance(value, Tensor):
        return "_"
    return f"({','.join(map(_plain, value))})" if isinstance(value, tuple | list) else repr(value)


def _touch(one: Tensor, two: Tensor) -> bool:
    """Whether the parts of one memory that two tensors lie in overlap."""
    (first, first_end), (second, second_end) = _extent(one), _extent(two)
    return first < second_end and second < first_end


def _extent(tensor: Tensor) -> tuple[int, int]:
    begin = int(tensor.storage_offset())
    last = int(sum((size - 1) * by for size, by in zip(tensor.shape, tensor.stride(), strict=True)))
    return begin * tensor.element_size(), (begin + last + 1) * tensor.element_size()


def _geometry(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.storage_offset()


def _values(tensor: Tensor) -> str:
    """What names the values of a tensor that is not trained."""
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return f"{tensor.dtype} {tuple(tensor.shape)} {hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _beginning(weight: Tensor) -> str:
    """Shape, and how a weight starts: networks that start otherwise are not trained to the same."""
    some = weight.detach().reshape(-1)[:_MANY].double()
    spread = float(some.std(correction=0)) if some.numel() else 0.0
    start = f"all {some[:1].tolist()}" if not spread else "spread"
    if spread and len(some) == _MANY:  # of fewer it is not known well enough
        start = f"about 2^{floor(log2(spread))}"
    return f"{weight.dtype} {tuple(weight.shape)} {start}"


def _when_trained(model: nn.Module) -> str:
    """Numbers that modules hold, of which some act in training alone: rates of dropout, of paths dropped."""
    usual, others = set(), []
    for module in model.modules():
        for name, value in sorted(vars(module).items()):
            if isinstance(value, float):
                told = (type(module).__name__, name, value)
                usual.add(told) if name in _USUAL else others.append(told)
    return repr((sorted(usual), others))
