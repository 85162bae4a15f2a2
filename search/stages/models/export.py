"""PyTorch module to source model: ONNX, or a format that a backend exports itself, in float, checked against
PyTorch before it is returned.

ONNX files have a dynamic batch axis named "batch". In every format, inputs carry the names of the forward
method's arguments and outputs those of `named_outputs`. Equal models give equal bytes.
"""

from __future__ import annotations

import gc
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from ....backends.contract.backend import ONNX, Array, Backend, Feed, SourceModel, batches
from ....backends.onnx_graph.session import run_all
from ....profiles.errors import ParetuneError, StageError, UnsupportedError
from ....profiles.guard.user_code import UserCodeError
from ..network.plain import copied, plain_weights
from ..network.predict import named_outputs
from ..network.programs import refuse_script, traceable, traced
from ..training.equalize import equalize
from .exporters import captured_stderr, refuse_lost_ways, unsupported
from .onnx_names import anonymous, held_names, held_outputs, renamed

logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it names all that is not installed, each time

Names = str | Sequence[str] | None

OPSET = 18
# Exporters fold BatchNorm and reorder sums: 1e-3 of the largest output is far above what that costs in
# float32 and far below what a wrong operator does.
TOLERANCE = 1e-3
_imported: set[str] = set()  # formats whose exporter has run in this process
_MOST_BYTES = 2_000_000_000  # one protobuf or flatbuffer file holds less than 2 GiB


def export(
    model: nn.Module,
    sample: Mapping[str, Array],
    backend: Backend,
    batch: int,
    into: Path,
    wanted: Names = None,
    *,
    on_grid: bool = False,
) -> SourceModel:
    """Write `model` in the format that a backend reads into the directory `into`. `wanted` are names of
    outputs, see `named_outputs`. `on_grid`: its weights were trained on a quantizer's grid, and stay there.

    Raises:
        UnsupportedError: an operator of the model has no counterpart in the format.
        StageError: the exported model disagrees with PyTorch on `sample`.
    """
    frozen = _frozen(model)
    if not on_grid:
        equalize(frozen, **_tensors(sample))
    if backend.source_format == ONNX:
        source = _export_onnx(frozen, sample, into, wanted)
    else:
        source = _export_by(backend, frozen, sample, batch, into, wanted)
    if source.format not in _imported:
        # What exporters import stays for good; with it, each full garbage collection took 0.4 s.
        gc.freeze()
        _imported.add(source.format)
    return source


def export_onnx(
    model: nn.Module, sample: Mapping[str, Array], into: Path, wanted: Names = None
) -> SourceModel:
    """Write `into/model.onnx` (opset 18, dynamic batch, constants inside the file).

    `sample` maps the names of the forward method's arguments to arrays (axis 0 = samples). The exporter on
    torch.export comes first, the one on TorchScript is the second try for models that it cannot trace.

    Raises:
        UnsupportedError: neither exporter can express the model.
        StageError: the exported model disagrees with PyTorch on `sample`.
    """
    return _export_onnx(_frozen(model), sample, into, wanted)


def _export_onnx(frozen: nn.Module, sample: Mapping[str, Array], into: Path, wanted: Names) -> SourceModel:
    path = into / "model.onnx"
    wrapped = _Positional(frozen, list(sample), wanted)
    feed = next(batches(sample, max(2, _rows(sample))))  # a batch of one would be taken for a constant
    outputs = list(_expected(wrapped, feed))
    if twice := sorted({*outputs} & {*feed}):
        raise UnsupportedError(
            f"the output {twice[0]!r} has the name of an input, and an ONNX graph has one set of names: let "
            "forward give it another"
        )
    with captured_stderr() as log:
        try:
            _torch_export(traceable(wrapped, _tensors(feed)), feed, path, len(outputs))
        except Exception as first:
            try:
                told = _script_export(wrapped, feed, path, len(outputs))
            except Exception as second:
                raise unsupported("ONNX", second, first) from second
            refuse_lost_ways(first, told)
    proto = renamed(anonymous(onnx.load(path)), list(feed), outputs)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    one = {name: array[:1] for name, array in feed.items()}
    for part in (feed, one):
        _check_agreement(wrapped, part, _run_onnx(proto, part), "ONNX", "".join(log))
    return SourceModel(path=path, format=ONNX)


def _export_by(
    backend: Backend, frozen: nn.Module, sample: Mapping[str, Array], batch: int, into: Path, wanted: Names
) -> SourceModel:
    """By the backend's own exporter, for inputs of exactly `batch` rows."""
    path = into / f"model.{backend.source_format}"
    wrapped = _Keyword(frozen, wanted)
    feed = next(batches(sample, batch))
    with captured_stderr() as log:
        try:
            module = traceable(wrapped, _tensors(feed))
            refuse_script(module.model, backend.source_title)
            outputs = backend.export(module, feed, path)
        except UserCodeError as error:
            raise unsupported(backend.source_title, error) from error
        except ParetuneError:
            raise
        except Exception as error:  # exporters raise whatever torch, jax and MLIR raise
            raise unsupported(backend.source_title, error) from error
    _check_agreement(wrapped, feed, outputs, backend.source_title, "".join(log))
    return SourceModel(path=path, format=backend.source_format)


class _Keyword(nn.Module):
    """Takes the inputs by name and returns all outputs by name."""

    def __init__(self, model: nn.Module, wanted: Names) -> None:
        super().__init__()
        self.model, self.wanted = model, wanted

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return named_outputs(self.model(**inputs), self.wanted)


class _Positional(nn.Module):
    """Takes the inputs in a fixed order and returns all outputs in theirs."""

    def __init__(self, model: nn.Module, names: list[str], wanted: Names) -> None:
        super().__init__()
        self.model, self.names, self.wanted = model, names, wanted

    def forward(self, *inputs: torch.Tensor) -> Any:
        named = named_outputs(self.model(**dict(zip(self.names, inputs, strict=True))), self.wanted)
        outputs = tuple(named.values())
        return outputs[0] if len(outputs) == 1 else outputs


def _expected(wrapped: _Keyword | _Positional, feed: Mapping[str, Array]) -> dict[str, Array]:
    """What PyTorch gives for a feed, by name."""
    with torch.no_grad():
        found = named_outputs(wrapped.model(**_tensors(feed)), wrapped.wanted)
    return {name: tensor.numpy() for name, tensor in found.items()}


def _frozen(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode: BatchNorm left in training mode would bake in the sample's statistics."""
    size = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    if size > _MOST_BYTES:
        raise UnsupportedError(
            f"the model's weights take {size / 1e9:.2f} GB; one exported file holds at most 2 GB"
        )
    return plain_weights(copied(model)).cpu().eval()


def _rows(sample: Mapping[str, Array]) -> int:
    return min(len(array) for array in sample.values())


def _tensors(feed: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in feed.items()}


@cache
def _operators_read_once() -> None:
    """torch's exporter reads its table of ONNX operators anew for each model, half of a small one's time.

    Where a later version of it has no such function, nothing is changed.
    """
    with suppress(ImportError, AttributeError):
        apis: Any = import_module("torch.onnx._internal.exporter._registration").onnxscript_apis
        apis.get_torchlib_ops = cache(apis.get_torchlib_ops)


def _torch_export(wrapped: _Positional, feed: Mapping[str, Array], path: Path, outputs: int) -> None:
    _operators_read_once()
    axes = tuple({0: torch.export.Dim("batch")} for _ in feed)
    _onnx_export(wrapped, feed, path, outputs, dynamo=True, external_data=False, dynamic_shapes=(axes,))


def _script_export(
    wrapped: _Positional, feed: Mapping[str, Array], path: Path, outputs: int
) -> list[warnings.WarningMessage]:
    axes = {name: {0: "batch"} for name in (*held_names(len(feed)), *held_outputs(outputs))}
    return _onnx_export(traced(wrapped, _tensors(feed)), feed, path, outputs, dynamo=False, dynamic_axes=axes)


def _onnx_export(
    model: nn.Module, feed: Feed, path: Path, outputs: int, **options: Any
) -> list[warnings.WarningMessage]:
    """Write the file; returns what the exporter warned of."""
    with (
        torch.no_grad(),
        warnings.catch_warnings(record=True) as told,
        redirect_stdout(io.StringIO()),
        # It orders the factors of a product by their sizes, and so takes the batch for a constant.
        torch.backends.opt_einsum.flags(enabled=False),
    ):
        warnings.simplefilter("always")
        torch.onnx.export(
            model,
            tuple(_tensors(feed).values()),
            str(path),
            opset_version=OPSET,
            input_names=held_names(len(feed)),
            output_names=held_outputs(outputs),
            verbose=False,
            **options,
        )
    return told


def _run_onnx(proto: onnx.ModelProto, feed: Mapping[str, Array]) -> dict[str, Array]:
    try:
        return run_all(proto, feed)
    except Exception as error:  # each runtime has its own
        raise UnsupportedError(
            f"the exported ONNX model does not run on a batch of {_rows(feed)} (does the model's forward "
            f"depend on the batch it was traced with?): {str(error).strip()[:300]}"
        ) from error


def _check_agreement(
    wrapped: _Keyword | _Positional,
    feed: Mapping[str, Array],
    outputs: Mapping[str, Array],
    format_name: str,
    log: str,
) -> None:
    check_same(_expected(wrapped, feed), outputs, (format_name, "PyTorch"), log)


def check_same(
    expected: Mapping[str, Array], outputs: Mapping[str, Array], formats: tuple[str, str], log: str
) -> None:
    """Compare all outputs of an exported model with those of what it was made from; `formats` are what both
    are called.

    Raises:
        StageError: one is missing, or differs by more than rounding explains.
    """
    format_name, origin = formats
    for name, wanted in expected.items():
        if name not in outputs:
            there = ", ".join(outputs)
            raise StageError("export", f"the {format_name} model has no output {name!r}, but {there}", log)
        its = f" in its output {name}" if len(expected) > 1 else ""
        _check_output(outputs[name], wanted, (f"the {format_name} model", origin), its, log)


def _check_output(output: Array, wanted: Array, models: tuple[str, str], its: str, log: str) -> None:
    model, origin = models
    if output.shape != wanted.shape:
        cause = f"{model} gives shape {output.shape}{its}, {origin} gives {wanted.shape}"
        raise StageError("export", cause, log)
    scale = float(np.abs(wanted).max(initial=0.0))
    worst = float(np.abs(output.astype(np.float64) - wanted).max(initial=0.0))
    if not worst <= TOLERANCE * scale + 1e-6:
        raise StageError(
            "export",
            f"{model} disagrees with {origin}{its}: largest difference {worst:.3g}, "
            f"largest output {scale:.3g}, accepted {TOLERANCE:g} of it",
            log,
        )
