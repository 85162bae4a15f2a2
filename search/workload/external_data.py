"""Weights that an ONNX file keeps in other files: where they lie is checked before anything opens them.

What an ONNX file says of places is foreign: a location may lead out of the model's folder, to a device or to
a pipe, and a length may be any number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...profiles.errors import UserError
from ...profiles.files import file_inside, open_regular

if TYPE_CHECKING:
    import onnx

_PACKED = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}  # bits
_NUMBER_DIGITS = 18  # more than any file has bytes


def files_of(model: onnx.ModelProto, path: Path) -> list[Path]:
    """The files beside `path` that hold weights of its model, sorted.

    Raises:
        UserError: a tensor names a place that is none of the model's folder, or what is not there.
    """
    return sorted({_part(tensor, path)[0] for tensor in tensors(model) if _is_external(tensor)})


def read_in(model: onnx.ModelProto, path: Path) -> None:
    """Put all weights that lie in files beside `path` into the model.

    Raises:
        UserError: as for `files_of`.
    """
    for tensor in tensors(model):
        if _is_external(tensor):
            file, offset, size = _part(tensor, path)
            with open_regular(file) as stream:
                stream.seek(offset)
                tensor.raw_data = stream.read(size)
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every constant of a model: also those inside of nodes, of graphs in nodes, and of its functions."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_attributes(function.attribute_proto)
        yield from _of_nodes(function.node)
    for training in model.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        yield from _of_attributes(node.attribute)


def _of_attributes(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _of_graph(graph)


def _is_external(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == tensor.EXTERNAL


def _part(tensor: onnx.TensorProto, path: Path) -> tuple[Path, int, int]:
    """The file that holds a tensor, its offset there, and its size in bytes."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    if len(said) != len(tensor.external_data):
        raise _wrong(tensor, path, "it says the same thing twice")
    location, wanted = said.get("location", ""), _bytes(tensor, path)
    try:
        file = file_inside(path.parent, location)
        there = file.stat().st_size
        with open_regular(file):
            pass
    except OSError as error:
        raise _wrong(tensor, path, error.strerror or str(error), location) from error
    offset = _number(tensor, path, said.get("offset", "0"))
    length = _number(tensor, path, said.get("length", str(wanted)))
    if length != wanted:
        raise _wrong(tensor, path, f"{length} bytes for a tensor of {wanted}", location)
    if offset + length > there:
        raise _wrong(tensor, path, f"bytes {offset} to {offset + length} of a file of {there}", location)
    return file, offset, length


def _bytes(tensor: onnx.TensorProto, path: Path) -> int:
    """Bytes of a tensor by its type and shape."""
    from onnx.helper import tensor_dtype_to_np_dtype

    try:
        name = tensor.DataType.Name(tensor.data_type)
        if name == "STRING" or min(tensor.dims, default=0) < 0:
            raise ValueError
        each = _PACKED.get(name) or 8 * tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError):
        found = f"type {tensor.data_type}, shape {list(tensor.dims)}"
        raise _wrong(tensor, path, found) from None
    return (math.prod(map(int, tensor.dims)) * int(each) + 7) // 8


def _number(tensor: onnx.TensorProto, path: Path, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS):
        raise _wrong(tensor, path, f"{text[:40]!r}, where a number of bytes belongs")
    return int(text)


def _wrong(tensor: onnx.TensorProto, path: Path, found: str, location: str | None = None) -> UserError:
    at = "" if location is None else f"at {location[:100]!r}: "
    return UserError(
        f"the weights of tensor {tensor.name!r} cannot be read",
        place=str(path),
        found=at + found,
        accepted="a file in the folder of the model or below it, which has all bytes of the tensor",
        remedy="put the file there (itself, not a link to another folder), or export the model again as one "
        "file",
    )
