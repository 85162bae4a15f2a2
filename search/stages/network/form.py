"""What a network is besides the numbers of its weights: two of one form are traced to the same graph.

A tracer sees the classes of modules, all that they hold besides tensors, and of weights their shapes. Of
tensors that are no parameters or buffers it sees the numbers as well, so these count here.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import types
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .programs import Program

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice, PurePath)
_OF_TORCH = (torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size)
_BY_NAME = (type, types.ModuleType, types.BuiltinFunctionType, torch._ops.OpOverload)
# An RNN's second list of its parameters follows the first, whatever these are set to.
_OF_RNN = ("_flat_weights", "_flat_weight_refs")
_told_apart: dict[int, Any] = {}  # classes and modules by identity, which none that comes later may get


class _UnknownError(Exception):
    """Something that cannot be compared."""


def form_of(model: nn.Module) -> str | None:
    """A digest of all of a network but the numbers of its weights; None where it has what cannot be compared,
    or is a program, of which only its maker knows what it holds."""
    if any(isinstance(module, Program | torch.jit.ScriptModule) for module in model.modules()):
        return None
    walk = _FormWalk(model)
    try:
        walk.add(model)
    except (_UnknownError, ValueError, RuntimeError):  # a cell not filled yet, numbers that have no bytes
        return None
    return walk.digest.hexdigest()


class _FormWalk:
    def __init__(self, model: nn.Module) -> None:
        self.digest = hashlib.sha256()
        self._modules = {id(module) for module in model.modules()}
        self._seen: dict[int, int] = {}
        self._storages: dict[int, int] = {}
        self._alive: list[Any] = []  # what is seen keeps its identity

    def add(self, value: Any) -> None:
        """Any value; what was seen before is told by when that was."""
        if type(value) in _PLAIN or isinstance(value, _OF_TORCH):
            return self._say(type(value).__name__, repr(value))
        if isinstance(value, Enum):
            return self._say("enum", _named(type(value)), value.name)
        if id(value) in self._seen:
            return self._say("again", self._seen[id(value)])
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, Tensor):
            return self._numbers(value)
        return self._other(value)

    def _say(self, *words: Any) -> None:
        self.digest.update(f"{len(words)}:{words!r};".encode())

    def _module(self, module: nn.Module) -> None:
        own = id(module) in self._modules
        self._say("module", _named(type(module)), own)
        for name, value in vars(module).items():
            self._say(name)
            if name in ("_parameters", "_buffers"):
                for key, tensor in value.items():
                    self._say(key)
                    self._weight(tensor, numbers=not own)
            elif not (isinstance(module, nn.RNNBase) and name in _OF_RNN):
                self.add(value)

    def _weight(self, tensor: Tensor | None, *, numbers: bool) -> None:
        """Shape and place: weights that share memory are written once."""
        if tensor is None:
            return self._say("none")
        if numbers:
            return self.add(tensor)
        if type(tensor) not in (Tensor, nn.Parameter) or tensor.layout is not torch.strided:
            raise _UnknownError
        self._alive.append(tensor)
        storage = self._storages.setdefault(tensor.untyped_storage().data_ptr(), len(self._storages))
        self._say(
            "weight",
            type(tensor).__name__,
            str(tensor.dtype),
            tuple(tensor.shape),
            tensor.stride(),
            (storage, tensor.storage_offset()) if tensor.numel() else (),
            tensor.requires_grad,
        )
        return None

    def _numbers(self, tensor: Tensor) -> None:
        if type(tensor) not in (Tensor, nn.Parameter) or tensor.device.type != "cpu":
            raise _UnknownError
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise _UnknownError
        flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        self._say("tensor", str(tensor.dtype), tuple(tensor.shape), tensor.stride(), tensor.requires_grad)
        self.digest.update(flat.numpy().tobytes())

    def _other(self, value: Any) -> None:
        if isinstance(value, _BY_NAME):
            return self._say("named", _named(value))
        if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            self._say("array", value.dtype.str, value.shape)
            return self.digest.update(value.tobytes())
        self._say(_named(type(value)))
        if isinstance(value, dict):
            return self._all(part for pair in value.items() for part in pair)
        if isinstance(value, list | tuple):
            return self._all(value)
        if isinstance(value, set | frozenset):
            return self._set(value)
        return self._called(value)

    def _all(self, parts: Any) -> None:
        parts = list(parts)
        self._say("parts", len(parts))
        for part in parts:
            self.add(part)

    def _set(self, value: Any) -> None:
        if not all(type(part) in _PLAIN for part in value):
            raise _UnknownError
        self._say(sorted(map(repr, value)))

    def _called(self, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            self._say("function", _identity(value.__globals__), marshal.dumps(value.__code__))
            return self._all([value.__defaults__, value.__kwdefaults__, vars(value), *cells])
        if isinstance(value, types.MethodType):
            return self._all([value.__func__, value.__self__])
        if isinstance(value, functools.partial):
            return self._all([value.func, value.args, value.keywords])
        return self._object(value)

    def _object(self, value: Any) -> None:
        """An object whose whole state are its attributes."""
        own: Any = type(value)
        if own.__reduce_ex__ is not object.__reduce_ex__ or not hasattr(value, "__dict__"):
            raise _UnknownError
        if any("__slots__" in vars(kind) for kind in type(value).__mro__ if kind is not object):
            raise _UnknownError
        try:
            value.__reduce_ex__(2)
        except Exception as error:  # it has a state that is no attribute: a lock, an open file
            raise _UnknownError from error
        self._all(part for pair in vars(value).items() for part in pair)


def _named(value: Any) -> str:
    return f"{value.__module__ if isinstance(value, type) else ''} {value.__name__} {_identity(value)}"


def _identity(value: Any) -> int:
    _told_apart[id(value)] = value
    return id(value)
