"""A model that exists only as ONNX, in the format of a backend that does not read ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from ....backends.contract.backend import Array, Backend
from ....profiles.errors import ParetuneError
from .export import check_same
from .exporters import captured_stderr, unsupported


def converted(
    backend: Backend,
    content: bytes,
    inputs: Mapping[str, Array],
    wanted: Mapping[str, Array],
    batch: int,
    into: Path,
) -> dict[str, str]:
    """Let a backend make its format of an ONNX file, and compare what that gives with `wanted`, which are the
    outputs of the file for the same samples.

    Raises:
        UnsupportedError: an operator of the model has no counterpart in the format.
        StageError: the converted model disagrees with the file.
    """
    path = into / f"model.{backend.source_format}"
    with TemporaryDirectory() as folder, captured_stderr() as log:
        source = Path(folder) / "model.onnx"
        source.write_bytes(content)
        try:
            outputs = backend.from_onnx(source, inputs, batch, path)
        except ParetuneError:
            raise
        except Exception as error:  # converters raise whatever they like
            raise unsupported(backend.source_title, error) from error
    check_same(wanted, outputs, (backend.source_title, "the ONNX file"), "".join(log))
    return {"file": path.name, "format": backend.source_format}
