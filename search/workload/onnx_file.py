"""A user's ONNX model on disk: one file, or one with its weights in others beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...profiles.errors import UserError

if TYPE_CHECKING:
    import onnx

_MOST_BYTES = 2**31 - 1  # of one protobuf message


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


def write_as_one(path: Path, target: Path) -> None:
    """Copy the model into the one file `target`, its weights with it.

    Raises:
        UserError: it is too large for one file.
    """
    import onnx

    sizes = [file.stat().st_size for file in (path, *weight_files(path))]
    if sum(sizes) > _MOST_BYTES:
        raise UserError(
            "the ONNX model is too large",
            place=str(path),
            found=f"{sum(sizes) / 1e9:.2f} GB with its weights",
            accepted="at most 2 GB: one compiled file holds no more",
        )
    target.write_bytes(onnx.load(path).SerializeToString() if len(sizes) > 1 else path.read_bytes())


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every constant of a graph and of the graphs inside its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else []))
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _tensors(inner)
