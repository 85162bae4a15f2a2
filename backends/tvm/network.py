"""An ONNX model in Relax, and the order of passes that tuning and compiling share.

What is tuned must be what is compiled, function by function: a schedule is found again by the structure of
its function. Weights are parameters of these functions, so that schedules do not depend on them.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.words import one_line
from ..contract.backend import Array, TensorSpec

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

_MOST_WORDS = 300


def imported(proto: ModelProto) -> Any:
    """The model as a Relax module whose constants are in it.

    Raises:
        UnsupportedError: TVM does not read an operator of the model, or does not know a size.
    """
    from tvm.relax.frontend.onnx import from_onnx

    with _refusing("its ONNX importer"):
        return from_onnx(proto, keep_params_in_input=False)


def fused(module: Any, target: Any) -> Any:
    """The module as functions in loops that a schedule can be applied to.

    Convolutions get channels last, so that vectors run over channels: a tuned CNN takes half the time.
    A model that the conversion of layouts does not take stays as it came.

    Raises:
        UnsupportedError: TVM has no way to compute an operator of the model.
    """
    from tvm.relax.transform import ConvertLayout

    channels_last = ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]})
    try:
        return _in_loops(module, target, [channels_last])
    except UnsupportedError:
        return _in_loops(module, target, [])


def _in_loops(module: Any, target: Any, layout: list[Any]) -> Any:
    import tvm
    from tvm.relax import transform

    passes = [
        transform.DecomposeOpsForInference(),
        transform.CanonicalizeBindings(),
        *layout,
        transform.LegalizeOps(),
        transform.AnnotateTIROpPattern(),
        transform.FoldConstant(),
        transform.FuseOps(),
        transform.FuseTIR(),
        transform.DeadCodeElimination(),
    ]
    with _refusing("its passes"), target:
        return tvm.transform.Sequential(passes)(module)


@contextmanager
def _refusing(who: str) -> Iterator[None]:
    """What TVM raises about a model, as a refusal that names the operator.

    It prints the operator's name in place of putting it into the error.

    Raises:
        UnsupportedError: TVM raised.
    """
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            yield
    except (MemoryError, UnsupportedError, StageError):
        raise
    except Exception as error:  # each of its layers raises what it likes
        named = re.search(r"Error converting operator (\w+)", said.getvalue())
        operator = f" at the operator {named[1]}" if named else ""
        why = one_line(str(error).strip() or type(error).__name__, _MOST_WORDS)
        raise UnsupportedError(f"Apache TVM does not take this model ({who}{operator}): {why}") from error


def inputs_of(graph: GraphProto) -> tuple[TensorSpec, ...]:
    """What the model is fed with, in order."""
    constant = {tensor.name for tensor in graph.initializer}
    return tuple(_spec(value) for value in graph.input if value.name not in constant)


def _spec(value: Any) -> TensorSpec:
    from onnx import helper

    kind = value.type.tensor_type
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    return TensorSpec(name=value.name, dtype=dtype, shape=tuple(dim.dim_value for dim in kind.shape.dim))


def outputs_of(graph: GraphProto, module: Any) -> tuple[TensorSpec, ...]:
    """What the model gives, in order, in the sizes that TVM found.

    Raises:
        UnsupportedError: a size depends on the data.
    """
    found = module["main"].ret_ty
    kinds = getattr(found, "fields", None) or [found]
    return tuple(_found(value.name, kind) for value, kind in zip(graph.output, kinds, strict=True))


def _found(name: str, kind: Any) -> TensorSpec:
    sizes = getattr(getattr(kind, "shape", None), "values", None)
    try:
        shape = tuple(int(size) for size in sizes or ())
    except TypeError:
        sizes = None
    if sizes is None:
        raise UnsupportedError(f"Apache TVM does not know the size of the output {name!r} beforehand: {kind}")
    return TensorSpec(name=name, dtype=str(kind.dtype), shape=shape)


def constants(module: Any) -> list[Array]:
    """The constants of the module as they will be stored."""
    from tvm import relax

    found: list[Any] = []

    def visit(expression: Any) -> None:
        if isinstance(expression, relax.Constant):
            found.append(expression.data)

    relax.analysis.post_order_visit(module["main"], visit)
    return [tensor.numpy() for tensor in found]


def stored_bytes(arrays: list[Array]) -> dict[str, int]:
    """Bytes by storage type."""
    total: Counter[str] = Counter()
    for array in arrays:
        total[array.dtype.name] += array.nbytes
    return dict(sorted(total.items()))


def zero_share(arrays: list[Array]) -> float | None:
    """Share of zeros among the weights (constants of two and more axes); None where there are none."""
    weights = [array for array in arrays if array.ndim > 1 and array.size > 1]
    total = sum(array.size for array in weights)
    return sum(array.size - np.count_nonzero(array) for array in weights) / total if total else None
