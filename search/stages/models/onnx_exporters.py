"""torch's two exporters to ONNX, and the first one again from what it traced before."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from copy import copy
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ....backends.contract.backend import Feed
from ....backends.contract.torch_module import tensors_of
from ..network.programs import traced
from .onnx_names import held_names, held_outputs

logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it names all that is not installed, each time

OPSET = 18
# The one way of tracing that sees no numbers of weights: it runs the model on tensors that have none.
_BLIND = "TorchExportNonStrictStrategy"


@dataclass(frozen=True)
class OnnxTrace:
    """What `torch_export` traced and took apart into operators, without the weights."""

    program: Any


def torch_export(model: nn.Module, feed: Feed, path: Path, outputs: int) -> OnnxTrace | None:
    """By torch.export; returns what `export_again` takes, where the model can be had so."""
    _operators_read_once()
    made, _ = _onnx_export(model, feed, path, outputs, **_by_torch_export(feed))
    if getattr(made, "_capture_strategy", "") != _BLIND or made.exported_program is None:
        return None
    program = made.exported_program
    _put(program, {name: tensor.to("meta") for name, tensor in _stored(program).items()})
    return OnnxTrace(program)


def export_again(
    trace: OnnxTrace, weights: Mapping[str, Tensor], feed: Feed, path: Path, outputs: int
) -> None:
    """Write the file of a network of the same form with other weights: what `torch_export` would write.

    Raises:
        ValueError: the weights are not those of the traced network, or this version of torch is another one.
    """
    program = trace.program
    stored = _stored(program)
    found = {name: weights[name].detach() for name in stored if name in weights}
    if found.keys() != stored.keys() or any(not _alike(stored[name], found[name]) for name in stored):
        raise ValueError("other weights than those of the traced network")
    _put(program, found)
    try:
        with _taken_apart_already():
            _onnx_export(program, feed, path, outputs, **_by_torch_export(feed))
    finally:
        _put(program, stored)


def script_export(wrapped: nn.Module, feed: Feed, path: Path, outputs: int) -> list[warnings.WarningMessage]:
    """By TorchScript; returns what the exporter warned of."""
    axes = {name: {0: "batch"} for name in (*held_names(len(feed)), *held_outputs(outputs))}
    model = traced(wrapped, tensors_of(feed))
    return _onnx_export(model, feed, path, outputs, dynamo=False, dynamic_axes=axes)[1]


def _by_torch_export(feed: Feed) -> dict[str, Any]:
    axes = tuple({0: torch.export.Dim("batch")} for _ in feed)
    return {"dynamo": True, "external_data": False, "dynamic_shapes": (axes,)}


def _stored(program: Any) -> dict[str, Tensor]:
    """The weights of an exported program by name: buffers that are in no state dict are among its constants,
    beside constants of the code, which stay."""
    loose = {
        spec.target
        for spec in program.graph_signature.input_specs
        if spec.kind is torch.export.graph_signature.InputKind.BUFFER and not spec.persistent
    }
    return {**program.state_dict, **{name: program.constants[name] for name in loose}}


def _put(program: Any, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        place = program.state_dict if name in program.state_dict else program.constants
        place[name] = tensor


def _alike(old: Tensor, new: Tensor) -> bool:
    return (old.shape, old.dtype, old.stride()) == (new.shape, new.dtype, new.stride())


@contextmanager
def _taken_apart_already() -> Iterator[None]:
    """torch's exporter takes a program as it is.

    Raises:
        ValueError: it has no such step.
    """
    core: Any = import_module("torch.onnx._internal.exporter._core")
    name = "_prepare_exported_program_for_export"
    step = getattr(core, name, None)
    if step is None:
        raise ValueError("another torch")
    setattr(core, name, lambda program, **_: program)
    try:
        yield
    finally:
        setattr(core, name, step)


@cache
def _operators_read_once() -> None:
    """torch's exporter makes its table of ONNX operators anew for each model, more than half of a small one's
    time: here again only where modules were imported since, which may bring operators.

    Where a later version of it has no such table, nothing is changed.
    """
    with suppress(ImportError, AttributeError):
        tables: Any = import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
        make = tables.from_torchlib

        @lru_cache(maxsize=1)
        def made(modules: int, *asked: Any, **named: Any) -> Any:
            return make(*asked, **named)

        def own(*asked: Any, **named: Any) -> Any:
            table = copy(made(len(sys.modules), *asked, **named))
            table.functions = {operator: list(known) for operator, known in table.functions.items()}
            return table

        tables.from_torchlib = staticmethod(own)


def _onnx_export(
    model: Any, feed: Feed, path: Path, outputs: int, **options: Any
) -> tuple[Any, list[warnings.WarningMessage]]:
    """Write the file; returns what the exporter gave, and what it warned of."""
    with (
        torch.no_grad(),
        warnings.catch_warnings(record=True) as told,
        redirect_stdout(io.StringIO()),
        # It orders the factors of a product by their sizes, and so takes the batch for a constant.
        torch.backends.opt_einsum.flags(enabled=False),
    ):
        warnings.simplefilter("always")
        made = torch.onnx.export(
            model,
            tuple(tensors_of(feed).values()),
            str(path),
            opset_version=OPSET,
            input_names=held_names(len(feed)),
            output_names=held_outputs(outputs),
            verbose=False,
            **options,
        )
    return made, told
