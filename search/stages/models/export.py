"""PyTorch module to source model: ONNX, or a format that a backend exports itself, in float, checked against
PyTorch before it is returned.

ONNX files have a dynamic batch axis named "batch". In every format, inputs carry the names of the forward
method's arguments and outputs those of `named_outputs`. Equal models give equal bytes.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from ....backends.contract.backend import ONNX, Array, Backend, Feed, SourceModel, batches
from ....backends.contract.torch_module import tensors_of, weights_of
from ....backends.onnx_graph.session import run_all
from ....profiles.errors import ParetuneError, StageError, UnsupportedError
from ....profiles.guard.user_code import UserCodeError
from ..network.plain import copied, plain_weights
from ..network.predict import named_outputs
from ..network.programs import refuse_script, traceable
from ..training.equalize import equalize
from .exporters import captured_stderr, refuse_lost_ways, unhindered, unsupported
from .kept_traces import KeptTraces
from .onnx_exporters import export_again, script_export, torch_export
from .onnx_names import anonymous, renamed

Names = str | Sequence[str] | None

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
    traces: KeptTraces | None = None,
) -> SourceModel:
    """Write `model` in the format that a backend reads into the directory `into`. `wanted` are names of
    outputs, see `named_outputs`. `on_grid`: its weights were trained on a quantizer's grid, and stay there.
    `traces` has what was traced before: the file is the same, and is made in a fraction of the time.

    Raises:
        UnsupportedError: an operator of the model has no counterpart in the format.
        StageError: the exported model disagrees with PyTorch on `sample`.
    """
    frozen = _frozen(model)
    with unhindered():
        if not on_grid:
            equalize(frozen, **tensors_of(sample))
        if backend.source_format == ONNX:
            source = _export_onnx(frozen, sample, into, wanted, traces)
        else:
            source = _export_by(backend, frozen, sample, batch, into, wanted, traces)
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
    return _export_onnx(_frozen(model), sample, into, wanted, None)


def _export_onnx(
    frozen: nn.Module, sample: Mapping[str, Array], into: Path, wanted: Names, traces: KeptTraces | None
) -> SourceModel:
    path = into / "model.onnx"
    wrapped = _Positional(frozen, list(sample), wanted)
    feed = next(batches(sample, max(2, _rows(sample))))  # a batch of one would be taken for a constant
    expected = _expected(wrapped, feed)
    outputs = list(expected)
    if twice := sorted({*outputs} & {*feed}):
        raise UnsupportedError(
            f"the output {twice[0]!r} has the name of an input, and an ONNX graph has one set of names: let "
            "forward give it another"
        )
    key = traces.key(ONNX, wrapped, feed, outputs) if traces else None
    if traces and (trace := traces.get(key)) is not None:
        with suppress(Exception):  # whatever went wrong: it is exported as if there was no trace
            with captured_stderr() as log:
                export_again(trace, weights_of(wrapped), feed, path, len(outputs))
            return _checked_onnx(path, wrapped, (feed, expected), log)
        traces.drop(key)
    with captured_stderr() as log:
        try:
            trace = torch_export(traceable(wrapped, tensors_of(feed)), feed, path, len(outputs))
        except Exception as first:
            try:
                told = script_export(wrapped, feed, path, len(outputs))
            except Exception as second:
                raise unsupported("ONNX", second, first) from second
            refuse_lost_ways(first, told)
    source = _checked_onnx(path, wrapped, (feed, expected), log)
    if traces:
        traces.put(key, trace, wrapped)
    return source


def _checked_onnx(
    path: Path, wrapped: _Positional, known: tuple[Feed, Mapping[str, Array]], log: list[str]
) -> SourceModel:
    """The file that an exporter wrote with the names of the model, compared with what PyTorch gives."""
    feed, expected = known
    proto = renamed(anonymous(onnx.load(path)), list(feed), list(expected))
    path.write_bytes(proto.SerializeToString(deterministic=True))
    check_same(expected, _run_onnx(proto, feed), ("ONNX", "PyTorch"), "".join(log))
    one = {name: array[:1] for name, array in feed.items()}
    alone = _run_onnx(proto, one)
    check_same(_expected(wrapped, one), alone, ("ONNX", "PyTorch"), "".join(log))
    return SourceModel(path=path, format=ONNX)


def _export_by(
    backend: Backend,
    frozen: nn.Module,
    sample: Mapping[str, Array],
    batch: int,
    into: Path,
    wanted: Names,
    traces: KeptTraces | None,
) -> SourceModel:
    """By the backend's own exporter, for inputs of exactly `batch` rows."""
    path = into / f"model.{backend.source_format}"
    wrapped = _Keyword(frozen, wanted)
    feed = next(batches(sample, batch))
    formats = backend.source_title, "PyTorch"
    try:
        expected = _expected(wrapped, feed)
    except Exception as error:  # what is wrong with it, a tracer would meet as well
        raise unsupported(backend.source_title, error) from error
    source = SourceModel(path=path, format=backend.source_format)
    key = traces.key(f"{backend.name} {source.format}", wrapped, feed, expected) if traces else None
    if traces and (trace := traces.get(key)) is not None:
        with suppress(Exception):  # as above
            with captured_stderr() as log:
                again = backend.export_again(trace, weights_of(wrapped), feed, path)
            check_same(expected, again, formats, "".join(log))
            return source
        traces.drop(key)
    with captured_stderr() as log:
        try:
            module = traceable(wrapped, tensors_of(feed))
            refuse_script(module.model, backend.source_title)
            outputs, trace = backend.export_traced(module, feed, path)
        except UserCodeError as error:
            raise unsupported(backend.source_title, error) from error
        except ParetuneError:
            raise
        except Exception as error:  # exporters raise whatever torch, jax and MLIR raise
            raise unsupported(backend.source_title, error) from error
    check_same(expected, outputs, formats, "".join(log))
    if traces:
        traces.put(key, trace, wrapped)
    return source


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
        found = named_outputs(wrapped.model(**tensors_of(feed)), wrapped.wanted)
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


def _run_onnx(proto: onnx.ModelProto, feed: Mapping[str, Array]) -> dict[str, Array]:
    try:
        return run_all(proto, feed)
    except Exception as error:  # each runtime has its own
        raise UnsupportedError(
            f"the exported ONNX model does not run on a batch of {_rows(feed)} (does the model's forward "
            f"depend on the batch it was traced with?): {str(error).strip()[:300]}"
        ) from error


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
