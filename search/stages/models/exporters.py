"""What is around all exporters: what they say and write to stderr, and work that they need not do."""

from __future__ import annotations

import gc
import os
import re
import sys
import tempfile
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ....profiles.errors import UnsupportedError

# How the exporters and the interpreter name the operator that they do not know.
_OPERATOR = (
    r"Lowering not found: (?!aten)(\w+)|aten(?:::|\.)\w+|operator '([\w:]+)'|legalize operation '([\w.]+)'"
    r"|builtin opcode '?(\w+)"
)
_BY_VALUES = "data-dependent"  # torch.export on what follows from numbers in tensors
_exports: list[dict[object, tuple[int, Any]]] = []  # for each that goes on, what torch looked up for it
_TO_BOOL = "Converting a tensor to a Python boolean"  # the tracer, where it goes one way of several


def unsupported(format_name: str, *errors: Exception) -> UnsupportedError:
    """Name the operator if any of the exceptions does."""
    for error in errors:
        text = str(error)
        found = re.search(_OPERATOR, text)
        if found:
            operator = next(filter(None, found.groups()), found[0])
            return UnsupportedError(f"the operator {operator} cannot be exported to {format_name}")
    if any(_BY_VALUES in str(error) for error in errors):
        return by_values()
    first_line = next(
        (line for line in str(errors[0]).splitlines() if line.strip()), type(errors[0]).__name__
    )
    return UnsupportedError(f"the model cannot be exported to {format_name}: {first_line.strip()[:300]}")


def refuse_lost_ways(first: Exception, told: Sequence[warnings.WarningMessage]) -> None:
    """Refuse what a tracer wrote after torch.export had refused it (`first`) because forward goes one way or
    another by the numbers in a tensor: the trace holds the way of the sample alone.

    Raises:
        UnsupportedError: names the line.
    """
    if _BY_VALUES not in str(first):
        return
    for one in told:
        if _TO_BOOL in str(one.message):
            raise by_values(f" ({Path(one.filename).name}, line {one.lineno})")


def by_values(where: str = "") -> UnsupportedError:
    """A forward with an `if` that no exported model can have."""
    return UnsupportedError(
        f"forward decides by the numbers in a tensor{where}, as a Python `if` or `while` does: an exported "
        "model goes one way for all samples; compute both ways and take one by torch.where (or torch.cond, "
        "which becomes the operator If of ONNX)"
    )


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Keep what converters (C++ too) write to stderr; the list holds it once the block has ended.

    The file descriptor is redirected for the whole process, so nothing else may write there meanwhile.
    """
    log: list[str] = []
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield log
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            log.append(sink.read().decode(errors="replace"))


@contextmanager
def unhindered() -> Iterator[None]:
    """No garbage is collected meanwhile: a tracer builds a hundred thousand objects that are all in use.

    And one thread computes: over the few rows of a sample several would wait for each other, busily, and
    where other programs run beside a hundred times as long as they work.
    """
    _operators_found_once()
    _types_written_once()
    _exports.append({})
    was_on, threads = gc.isenabled(), torch.get_num_threads()
    gc.disable()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _exports.pop()
        torch.set_num_threads(threads)
        if was_on:
            gc.enable()


@cache
def _operators_found_once() -> None:
    """torch.export lists torch's composite operators and looks at each of them, fifty times and more for each
    model: here once for each, and again where modules were imported since, which may bring some.

    Where a later version has no such functions, nothing is changed.
    """
    with suppress(ImportError, AttributeError):
        utils: Any = import_module("torch._export.utils")
        look_up, find = utils._materialize_cpp_cia_ops, utils._collect_all_valid_cia_ops_for_namespace
        utils._materialize_cpp_cia_ops = lambda: _once(look_up)
        utils._collect_all_valid_cia_ops_for_namespace = lambda named: _once(find, named)


def _once(look: Callable[..., Any], *asked: Any) -> Any:
    """What was found for this model since the last import; outside of an export it is looked up each time."""
    if not _exports:
        return look(*asked)
    found, now, key = _exports[-1], len(sys.modules), (look, *asked)
    if key not in found or found[key][0] != now:
        found[key] = now, look(*asked)
    return found[key][1]


@cache
def _types_written_once() -> None:
    """torch registers ten thousand functions for each model that it takes apart, and each time makes the type
    that the code gives for them, a tenth of a small model's export; `typing` keeps those that it made.

    Where a later version has no such name, nothing is changed.
    """
    with suppress(ImportError, AttributeError):
        operators: Any = import_module("torch._ops")
        if operators.Callable is Callable:
            operators.Callable = typing.Callable
