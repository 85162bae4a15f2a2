"""A network's graph of operations, recorded while it runs for one sample."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from time import thread_time
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import TensorWeakRef, WeakIdKeyDictionary

from ...record.untrained import UNTOLD, Untrained
from ...structure.graph import (
    FIXED,
    IDENTITY,
    INPUT,
    MOVED,
    PRODUCT,
    RECURRENT,
    RELU,
    SUM,
    WEIGHT,
    ZERO,
    Operation,
    OperationGraph,
)
from ...structure.told import told_by
from .operators import Called, read
from .tensor_words import beginning_of, geometry, overlap, said, tensors_in, values_of, when_trained

MOST = 6_000
"""Operations that are recorded; a network of more tells nothing."""
_PLAIN = frozenset({SUM, PRODUCT, IDENTITY, RELU})  # which nothing but their operands decides
_weak: Any = TensorWeakRef
_by_tensor: Any = WeakIdKeyDictionary
_IN_PLACE = re.compile(r"_(?=\.|$)")


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what a model does. It never fails: of what cannot be followed nothing is told.

    It stands below all that PyTorch decomposes, so that control flow, functions, TorchScript and modules that
    are called twice are seen as what ran.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: list[Operation] = []
        self._outputs: tuple[int, ...] = ()
        self._places = _by_tensor()  # of the tensors that are alive
        self._parameters: dict[int, tuple[str, Tensor]] = {}
        self._weights: dict[int, Tensor] = {}  # by their places
        self._learned: dict[int, int] = {}  # places of what is made of weights alone: how many values
        self._live: set[int] = set()  # places of what depends on an input
        self._sharing: dict[int, list[Any]] = defaultdict(list)  # by their memory
        self._failed = self._decided = self._inside = False
        self.seconds = 0.0

    def run(self, model: nn.Module, inputs: Sequence[Tensor]) -> Any:
        """The model's outputs for these inputs."""
        self._parameters = {id(one): (name, one) for name, one in model.named_parameters()}
        for one in inputs:
            self._put(one, self._add(Operation(INPUT, settings=f"{one.dtype} {tuple(one.shape[1:])}")))
        self._live = set(range(len(self._made)))
        with self, self._recurrent_whole(model):
            given = model(*inputs)
        self._tried(lambda: self._end(given))
        return given

    @contextmanager
    def _recurrent_whole(self, model: nn.Module) -> Iterator[None]:
        """Recurrent layers are one operation each, not as many as a sample has steps."""
        hooks: list[Any] = []

        def begin(module: nn.Module, given: Any) -> None:
            self._inside = True

        def end(module: nn.Module, given: Any, result: Any) -> None:
            self._inside = False
            self._tried(lambda: self._recurrent(module, given, result))

        for module in model.modules():
            if isinstance(module, nn.RNNBase):
                hooks += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _recurrent(self, module: nn.Module, given: Any, result: Any) -> None:
        operands = [self._of(one) for one in (*tensors_in(given), *module.parameters())]
        self._results(self._put_in(Called(RECURRENT), operands, repr(module)), result)

    def told(self, model: nn.Module) -> Untrained:
        """What the recorded network tells. What Python decided by values that depend on an input is no
        function that the graph has."""
        found: list[Untrained] = []
        self._tried(lambda: found.append(told_by(self._graph(), beside=when_trained(model))))
        if self._failed or not found or not self._live.intersection(self._outputs):
            return UNTOLD
        return replace(found[0], function="") if self._decided else found[0]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):  # branches and loops of functions
            self._failed = True
            return func(*args, **kwargs)
        if _is_whole(func.name()):
            with self:
                return func.decompose(*args, **kwargs)
        if self._inside:
            return func(*args, **kwargs)
        operands: list[int] = []
        self._tried(lambda: operands.extend(map(self._of, tensors_in((args, kwargs)))))
        result = func(*args, **kwargs)
        self._tried(lambda: self._note(func, args, kwargs, operands, result))
        return result

    def _graph(self) -> OperationGraph:
        made = list(self._made)
        for place, tensor in self._weights.items():
            made[place] = made[place]._replace(settings=beginning_of(tensor))
        return OperationGraph(tuple(made), self._outputs)

    def _tried(self, work: Callable[[], Any]) -> None:
        """Nothing that fails here may stop a model."""
        begun = thread_time()
        if not self._failed:
            try:
                work()
            except Exception:  # tensors of kinds that have no storage, no values, no order
                self._failed = True
        self.seconds += thread_time() - begun

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
        self._results(place, result)
        if func._schema.is_mutable:
            given = {**dict(zip((a.name for a in func._schema.arguments), args, strict=False)), **kwargs}
            for argument in func._schema.arguments:
                if argument.alias_info is not None and argument.alias_info.is_write:
                    for tensor in tensors_in(given.get(argument.name)):
                        self._written(tensor, place)

    def _operation(
        self, func: Any, args: Any, kwargs: Mapping[str, Any], operands: Sequence[int], result: Any
    ) -> int:
        learned = any(place in self._learned for place in operands)
        called = read(func, args, result, learned=learned, plain=not kwargs)
        settings = "" if called.kind in _PLAIN else said(_IN_PLACE.sub("", func.name()), args, kwargs)
        random = torch.Tag.nondeterministic_seeded in func.tags
        return self._put_in(called, operands, settings, f"random {len(self._made)}" if random else "")

    def _put_in(self, called: Called, operands: Sequence[int], settings: str, weight: str = "") -> int:
        learned = [self._learned[place] for place in operands if place in self._learned]
        only = bool(operands) and len(learned) == len(operands)
        kind, kernel, stride, channels = called
        inputs = () if kind == ZERO else tuple(operands)
        weights = 0 if only else sum(learned)
        place = self._add(Operation(kind, inputs, settings, kernel, stride, channels, weights, weight))
        if only:
            self._learned[place] = sum(learned)
        if self._live.intersection(operands):
            self._live.add(place)
        return place

    def _results(self, place: int, result: Any) -> None:
        for number, tensor in enumerate(tensors_in(result)):
            self._put(tensor, self._part(place, number) if number else place)

    def _part(self, place: int, number: int) -> int:
        """A further result of an operation."""
        return self._follow(Operation(MOVED, (place,), f"result {number}"))

    def _written(self, tensor: Tensor, place: int) -> None:
        """A tensor was changed, and with it what shares its memory."""
        self._put(tensor, place)
        storage = tensor.untyped_storage()._cdata
        sharing = [ref for ref in self._sharing[storage] if ref() is not None]
        self._sharing[storage] = sharing
        for other in [ref() for ref in sharing] if len(sharing) > 1 else ():
            if other is not tensor and other.untyped_storage()._cdata == storage and overlap(other, tensor):
                how = f"written {geometry(other)} {geometry(tensor)}"
                self._places[other] = self._follow(Operation(MOVED, (self._places[other], place), how))

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
                place = self._add(Operation(FIXED, settings=values_of(tensor)))
        else:
            place = self._add(Operation(WEIGHT, weight=known[0]))
            self._weights[place] = known[1]
            self._learned[place] = tensor.numel()
        self._put(tensor, place)
        return place

    def _put(self, tensor: Tensor, place: int) -> None:
        if tensor not in self._places:
            self._sharing[tensor.untyped_storage()._cdata].append(_weak(tensor))
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
