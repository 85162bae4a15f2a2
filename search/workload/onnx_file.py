"""A user's ONNX model on disk: one file, or one with its weights in others beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...profiles.errors import UserError

if TYPE_CHECKING:
    import onnx

_MOST_BYTES = 2**31 - 1  # of one protobuf message
_OFTEN_FORGOTTEN = {"com.microsoft": 1, "ai.onnx.ml": 3}


def weight_files(path: Path) -> list[Path]:
    """The files beside `path` that hold its weights, sorted; none where they stand in the file itself.

    A file that cannot be read as ONNX has none; `split_checks.check_onnx` reports it.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's errors have no base class of their own
        return []
    places = {
        entry.value
        for tensor in _tensors(model.graph)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(path.parent / place for place in places)


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model with its weights, as ONNX's checker accepts it. Domains of ONNX Runtime and of classical
    models that it uses without saying so are imported.

    Raises:
        UserError: it is no valid ONNX model, newer than the installed onnx, or too large for one file.
    """
    import onnx

    _check_size(path)
    try:
        model = onnx.load(path)
        _import_used(model)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's errors have no base class of their own
        raise _not_valid(path, error) from error
    return model


def _import_used(model: onnx.ModelProto) -> None:
    from onnx.helper import make_opsetid

    there = {opset.domain for opset in model.opset_import}
    used = {node.domain for node in model.graph.node}
    for domain, version in _OFTEN_FORGOTTEN.items():
        if domain in used - there:
            model.opset_import.append(make_opsetid(domain, version))


def _not_valid(path: Path, error: Exception) -> UserError:
    import onnx

    text = str(error)
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    if "ir_version" in text and "higher" in text:
        return UserError(
            f"the ONNX file is newer than the installed onnx {onnx.__version__}: {first}",
            place=str(path),
            accepted=f"IR version up to {onnx.IR_VERSION}",
            remedy="install a newer onnx and onnxruntime, or lower the version if the model uses nothing "
            f"new: model.ir_version = {onnx.IR_VERSION}",
        )
    node = next((line.strip() for line in text.splitlines() if line.startswith("==> Context")), "")
    found = f"{first} ({node.removeprefix('==> Context: ')})" if node else first
    return UserError("not a valid ONNX model", place=str(path), found=found, remedy="export it again")


def _check_size(path: Path) -> None:
    sizes = [file.stat().st_size for file in (path, *weight_files(path)) if file.is_file()]
    if sum(sizes) > _MOST_BYTES:
        raise UserError(
            "the ONNX model is too large",
            place=str(path),
            found=f"{sum(sizes) / 1e9:.2f} GB with its weights",
            accepted="at most 2 GB: one compiled file holds no more",
        )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every constant of a graph and of the graphs inside its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else []))
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _tensors(inner)
