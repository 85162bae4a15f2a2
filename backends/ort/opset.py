"""A model converted to another version of ONNX's operators, before it is compiled."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import version_converter

from ...profiles.errors import UnsupportedError
from ...profiles.words import one_line
from ..contract.backend import SourceModel

_STANDARD = ("", "ai.onnx")
_PLACE = re.compile(r"^\S+:\d+: \w+: Assertion .* failed: ")
_MOST = 200


@contextmanager
def at_opset(model: SourceModel, opset: int) -> Iterator[SourceModel]:
    """The model at an opset, in a file of its own while this lasts.

    Raises:
        UnsupportedError: the converter has no way there for one of its operators.
    """
    source = onnx.load(model.path)
    if opset_of(source) == opset:
        yield model
        return
    try:
        converted = version_converter.convert_version(source, opset)
        # Going back it leaves attributes behind that the older operators do not have.
        onnx.checker.check_model(converted)
    except Exception as error:  # its own exceptions, those of the checker, and assertions of the code below
        why = _PLACE.sub("", next(filter(None, str(error).splitlines()), type(error).__name__))
        raise UnsupportedError(
            f"ONNX cannot convert the model from opset {opset_of(source)} to {opset}: {one_line(why, _MOST)}"
        ) from error
    with tempfile.TemporaryDirectory(prefix="paretune-opset-") as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(converted, path)
        yield replace(model, path=path)


def opset_of(proto: onnx.ModelProto) -> int:
    """The version of the standard operators that a model is written in."""
    return next((one.version for one in proto.opset_import if one.domain in _STANDARD), 0)


def check_opset(content: bytes, opset: int) -> None:
    """Refuse an artifact at another opset than was asked for.

    Raises:
        UnsupportedError: it is; the tools write some operators in their own.
    """
    found = opset_of(onnx.load_model_from_string(content))
    if found != opset:
        raise UnsupportedError(
            f"at this precision ONNX Runtime's tools write opset {found} whatever they are given: opset "
            f"{opset} cannot be had"
        )
