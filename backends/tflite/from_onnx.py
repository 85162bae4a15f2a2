"""ONNX to TFLite, by way of PyTorch and litert_torch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ...profiles.errors import UnsupportedError, UserError
from ...profiles.words import one_line
from ..contract.backend import Array, Availability, Feed
from .export import write_tflite
from .pack import with_names
from .session import INSTALL, interpreter_module

if TYPE_CHECKING:
    from ..onnx_torch.module import OnnxModule
    from ..onnx_torch.steps import GraphStep

_VERSION = 1  # of what is made of the same file by the same packages
_CONVERTER = "litert-torch"
_BLAME_SECONDS = 30.0
_FAILED = re.compile(r"legalize operation '([\w.]+)'|builtin opcode '?(\w+)|Lowering not found: ([\w.]+)")


def converter() -> Availability:
    """Whether litert_torch is here."""
    try:
        version = metadata.version(_CONVERTER)
    except metadata.PackageNotFoundError:
        reason = f"{_CONVERTER}, which converts ONNX files for LiteRT, is not installed"
        return Availability(installed=False, reason=reason, install=INSTALL)
    return Availability(installed=True, version=f"{version}, {_VERSION}")


def write_onnx_as_tflite(
    onnx: Path, feed: Feed, path: Path, run: Callable[[], dict[str, Array]]
) -> dict[str, Array]:
    """Write the model of an ONNX file for inputs of exactly the shapes of `feed`, and give what `run` gives.

    Raises:
        UnsupportedError: an operator cannot be converted, or does not run; names it.
        UserError: litert_torch is missing.
    """
    from ..onnx_torch.module import OnnxModule

    proto = import_module("onnx").load(onnx)
    names = [value.name for value in proto.graph.input]
    _check_types((*proto.graph.input, *proto.graph.output))
    module = OnnxModule(proto, {name: feed[name] for name in names})
    try:
        _write(module, [feed[name] for name in names], path, wide=module.wide)
        _rename(path, module)
        return run()
    except UserError:
        raise
    except Exception as error:  # converters raise whatever torch, jax and MLIR raise
        raise _blamed(module, [feed[name] for name in names], error) from error


def _check_types(ends: tuple[Any, ...]) -> None:
    """Refuse a model whose inputs or outputs are of a type that the converter has not."""
    for end in ends:
        if end.type.tensor_type.elem_type == import_module("onnx").TensorProto.DOUBLE:
            raise UnsupportedError(
                f"{end.name!r} is float64, which TFLite files do not take: export the model in float32"
            )


def _write(module: Any, inputs: list[Array], path: Path, *, wide: bool = False) -> None:
    """Names of ONNX may hold what those of Python cannot, so numbers stand in their places.

    The wrapper is no part of the names of layers, as that of the export stage is none.
    """
    torch = import_module("torch")

    class _Numbered(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, **named: Any) -> dict[str, Any]:
            outputs = self.model(*(named[f"input{i}"] for i in range(len(inputs))))
            return {f"output{i:04}": output for i, output in enumerate(outputs)}

    write_tflite(_Numbered().eval(), {f"input{i}": array for i, array in enumerate(inputs)}, path, wide=wide)


def _rename(path: Path, module: OnnxModule) -> None:
    names = {f"input{i}": name for i, name in enumerate(module.inputs)}
    names |= {f"output{i:04}": name for i, name in enumerate(module.outputs)}
    path.write_bytes(with_names(path.read_bytes(), names))


def _blamed(module: OnnxModule, inputs: list[Array], error: Exception) -> UnsupportedError:
    """The error that names the operator at fault, which is found by trying each kind alone."""
    until = time.monotonic() + _BLAME_SECONDS
    for step, values in _kinds(module, inputs):
        if time.monotonic() > until:
            break
        try:
            _try_alone(module, step, values)
        except Exception as its:  # as above
            return UnsupportedError(
                f"{module.steps[step].node.title} cannot be brought to TFLite: {_why(its)}"
            )
    return UnsupportedError(f"the model cannot be brought to TFLite: {_why(error)}")


def _kinds(module: OnnxModule, inputs: list[Array]) -> Iterator[tuple[int, list[Any]]]:
    """The number of one step of each kind, and the values that it is given."""
    torch = import_module("torch")
    values = {i: torch.from_numpy(array.copy()) for i, array in enumerate(inputs)}
    seen: set[str] = set()
    with torch.no_grad():
        for number, step in enumerate(module.steps):
            given = [values[slot] for slot in step.slots]
            kind = _kind(step, given)
            if kind not in seen:
                seen.add(kind)
                yield number, given
            values.update(zip(step.results, module.made(number, given), strict=True))


def _kind(step: GraphStep, given: list[Any]) -> str:
    attributes = {name: value for name, value in step.node.attributes.items() if not hasattr(value, "node")}
    forms = [(value.dtype, value.ndim) for value in given]
    return repr((step.node.domain, step.node.operator, sorted(attributes.items(), key=repr), forms))


def _try_alone(module: OnnxModule, number: int, values: list[Any]) -> None:
    torch = import_module("torch")

    class Alone(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, *inputs: Any) -> Any:
            return module.made(number, inputs)

    with TemporaryDirectory() as folder:
        path = Path(folder) / "one.tflite"
        _write(Alone(), [value.numpy() for value in values], path)
        interpreter = interpreter_module().Interpreter(model_path=str(path))
        interpreter.allocate_tensors()


def _why(error: Exception) -> str:
    if isinstance(error, UnsupportedError):
        return error.reason
    if found := _FAILED.search(str(error)):
        return f"the converter does not take {next(filter(None, found.groups()))}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return one_line(" ".join(lines[: 1 + lines[0].endswith(":")]), 200)
