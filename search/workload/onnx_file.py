"""A user's ONNX model on disk: one file, or one with its weights in others beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...profiles.errors import UserError
from ...profiles.files import open_regular
from .external_data import files_of, read_in, tensors

if TYPE_CHECKING:
    import onnx

_MOST_BYTES = 2**31 - 1  # of one protobuf message
_OFTEN_FORGOTTEN = {"com.microsoft": 1, "ai.onnx.ml": 3}


def weight_files(path: Path) -> list[Path]:
    """The files beside `path` that hold its weights, sorted; none where they stand in the file itself.

    A file that cannot be read as ONNX has none; `split_checks.check_onnx` reports it.

    Raises:
        UserError: it is no regular file or too large, or its weights lie where they cannot be read.
    """
    content = _content(path)
    try:
        model = _parsed(content)
    except Exception:  # protobuf's errors have no base class of their own
        return []
    return files_of(model, path)


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model with its weights, as ONNX's checker accepts it. Domains of ONNX Runtime and of classical
    models that it uses without saying so are imported.

    Raises:
        UserError: it is no valid ONNX model, newer than the installed onnx, or too large for one file.
    """
    import onnx

    content = _content(path)
    try:
        model = _parsed(content)
        files = files_of(model, path)
        _check_size(path, len(content) + sum(file.stat().st_size for file in files))
        read_in(model, path)
        _import_used(model)
        onnx.checker.check_model(model)
        _check_types(model)
        _check_constants(model)
    except UserError:
        raise
    except Exception as error:  # protobuf's and onnx's errors have no base class of their own
        raise _not_valid(path, error) from error
    return model


def _content(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            _check_size(path, os.fstat(file.fileno()).st_size)
            content = file.read(_MOST_BYTES)
    except OSError as error:
        raise UserError(
            "the model file cannot be read", place=str(path), found=error.strerror or str(error)
        ) from error
    return content


def _parsed(content: bytes) -> onnx.ModelProto:
    import onnx

    model = onnx.load_model_from_string(content)
    _check_texts(model)
    return model


def _check_texts(message: Any) -> None:
    """Names that are not UTF-8 come as bytes, which nothing that reads names expects."""
    for field, value in message.ListFields():
        many = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
        if field.type == field.TYPE_STRING and any(isinstance(one, bytes) for one in many):
            raise ValueError(f"{field.full_name} is no UTF-8 text")
        if field.type == field.TYPE_MESSAGE:
            for one in many:
                _check_texts(one)


def _check_types(model: onnx.ModelProto) -> None:
    from onnx import TensorProto

    known = TensorProto.DataType.values()
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type not in known:
            raise ValueError(f"{value.name!r} is of the unknown type {value.type.tensor_type.elem_type}")


def _check_constants(model: onnx.ModelProto) -> None:
    """Of a tensor whose data is not what its shape says, ONNX's checker says nothing."""
    from onnx import numpy_helper

    for tensor in tensors(model):
        if tensor.data_type:  # else it is no tensor, but a field that is not set
            try:
                numpy_helper.to_array(tensor)
            except Exception as error:
                raise ValueError(f"tensor {tensor.name!r} of shape {list(tensor.dims)}: {error}") from error


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
    return UserError(
        "not a valid ONNX model, nor a file of another kind that is known",
        place=str(path),
        found=found,
        remedy="export it again",
    )


def _check_size(path: Path, size: int) -> None:
    if size == 0:
        raise UserError(
            "the model file is empty", place=str(path), remedy="export it again, or put the whole file there"
        )
    if size > _MOST_BYTES:
        raise UserError(
            "the model is too large",
            place=str(path),
            found=f"{size / 1e9:.2f} GB with its weights",
            accepted="at most 2 GB: one compiled file holds no more",
        )
