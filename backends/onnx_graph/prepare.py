"""A user's ONNX file made into the one kind of model that everything after works on.

That is: no local functions, dense constants that are no inputs, an opset that the quantizers know, float32
weights and arithmetic, no free axis but the batch, and tensors of numbers as outputs. What was changed is
said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, inliner, numpy_helper, version_converter

from ...profiles.errors import UnsupportedError
from ...profiles.words import listed
from .floats import other_float, to_float32
from .given import quantized_by
from .subgraphs import all_graphs, all_nodes

OLDEST_OPSET = 13  # per-channel QuantizeLinear came with opset 13
_OPSET, _IR = 17, 8
_DEFAULT = ("", "ai.onnx")
_NO_NUMBERS = (TensorProto.STRING, TensorProto.UNDEFINED)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The model as everything after takes it, the type that it came in ("": float32), what quantized it ("":
    nothing), and sentences on what was changed or taken."""

    proto: onnx.ModelProto
    came_as: str
    quantized: str
    notes: tuple[str, ...]


def prepare(proto: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> Prepared:
    """Prepare a model that ONNX's checker accepts. `shapes` are those of the data: samples along axis 0.

    Raises:
        UnsupportedError: it gives no tensor of numbers, or its opset cannot be brought up.
    """
    proto = _inlined(proto)
    graph = proto.graph
    for one in all_graphs(graph):
        _make_dense(one)
    _tell_nodes_apart(graph)
    notes = list[str]()
    _constants_are_no_inputs(proto)
    _import_missing(proto)
    notes += _sizes_from_data(graph, shapes)
    notes += _numbers_only(graph)
    quantized, came_as = quantized_by(proto), other_float(proto)
    if quantized:
        notes.append(f"the model was handed in quantized ({quantized}): it is measured as it is, as-given")
    else:
        proto = modern(proto)
        if came_as:
            to_float32(proto)
            notes.append(_converted(came_as))
    return Prepared(proto=proto, came_as=came_as, quantized=quantized, notes=tuple(notes))


def _converted(came_as: str) -> str:
    how = "rounded" if came_as == "float64" else "converted up, exactly,"
    return (
        f"the model was handed in as {came_as}: its weights were {how} to float32, which fp32 stands for here"
    )


def _inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without functions of its own: few tools look into them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return inliner.inline_local_functions(copy) if copy.functions else copy


def _make_dense(graph: onnx.GraphProto) -> None:
    for sparse in graph.sparse_initializer:
        values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
        dense = np.zeros(tuple(sparse.dims), values.dtype)
        if places.ndim == 1:
            dense.reshape(-1)[places] = values
        else:
            dense[tuple(places.T)] = values
        graph.initializer.append(numpy_helper.from_array(dense, sparse.values.name))
    del graph.sparse_initializer[:]


def _tell_nodes_apart(graph: onnx.GraphProto) -> None:
    """Nodes may have no name, but no two may have one name."""
    seen: set[str] = set()
    for node in all_nodes(graph):
        name, number = node.name, 1
        while node.name and node.name in seen:
            node.name, number = f"{name}_{number}", number + 1
        seen.add(node.name)


def _constants_are_no_inputs(proto: onnx.ModelProto) -> None:
    """Up to IR version 3 every constant had to be an input too, with itself as default."""
    constant = {tensor.name for tensor in proto.graph.initializer}
    fed = [value for value in proto.graph.input if value.name not in constant]
    if len(fed) < len(proto.graph.input):
        copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in fed]
        del proto.graph.input[:]
        proto.graph.input.extend(copies)
    if proto.ir_version < 4:
        proto.ir_version = _IR


def _import_missing(proto: onnx.ModelProto) -> None:
    """An opset of the default domain, for the tools that ask for one and the operators that they add."""
    if not any(opset.domain in _DEFAULT for opset in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid("", _OPSET))
        proto.ir_version = max(proto.ir_version, _IR)


def _sizes_from_data(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Put the data's sizes in place of free axes beside the batch, and wherever else their names stand."""
    taken: dict[str, int] = {}
    found = []
    batch_names = {_dims(value)[0].dim_param for value in graph.input if _dims(value)} - {""}
    for value in graph.input:
        for axis, (dim, size) in enumerate(zip(_dims(value), shapes[value.name], strict=True)):
            if axis and dim.dim_value <= 0:
                if dim.dim_param and dim.dim_param not in batch_names:
                    taken[dim.dim_param] = size
                dim.dim_value = size
                found.append(f"axis {axis} of {value.name!r} {size}")
    if found:
        for value in graph.output:
            for dim in _dims(value):
                if dim.dim_param in taken:
                    dim.dim_value = taken[dim.dim_param]
        del graph.value_info[:]  # inferred for free axes
        yield (
            f"axes without a size in the ONNX file have that of the data: {listed(found)}; artifacts take "
            "inputs of these sizes alone"
        )


def _dims(value: onnx.ValueInfoProto) -> Any:
    return value.type.tensor_type.shape.dim


def _numbers_only(graph: onnx.GraphProto) -> Iterator[str]:
    """Outputs that are tensors of numbers; a list of tables (ZipMap) gives way to the tensor behind it.

    Raises:
        UnsupportedError: none is left.
    """
    outputs, left_out, told = [], [], []
    maker = {name: node for node in graph.node for name in node.output}
    fed = {value.name for value in graph.input}
    for value in graph.output:
        if _is_numbers(value) and value.name not in fed:
            outputs.append(onnx.ValueInfoProto.FromString(value.SerializeToString()))
        elif value.name in maker and maker[value.name].op_type == "ZipMap":
            outputs.append(_zipped(maker[value.name]))
            told.append(f"{outputs[-1].name!r} in place of {value.name!r}, a list of tables (ZipMap)")
        else:
            left_out.append(value.name)
    if not outputs:
        raise UnsupportedError(
            f"the outputs are no tensors of numbers but texts, lists, tables or inputs ({listed(left_out)}): "
            "export the model with its numbers as an output (from scikit-learn: `options={'zipmap': False}`)"
        )
    if not told and not left_out:
        return
    del graph.output[:]
    graph.output.extend({value.name: value for value in outputs}.values())
    if told:
        yield f"outputs: {'; '.join(told)}"
    if left_out:
        yield f"outputs left out, which are inputs or no tensors of numbers: {listed(map(repr, left_out))}"


def _is_numbers(value: onnx.ValueInfoProto) -> bool:
    return value.type.HasField("tensor_type") and value.type.tensor_type.elem_type not in _NO_NUMBERS


def _zipped(node: onnx.NodeProto) -> onnx.ValueInfoProto:
    columns = max(len(attribute.ints) + len(attribute.strings) for attribute in node.attribute)
    return helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, [None, columns])


def modern(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with an opset that the quantizers know.

    Raises:
        UnsupportedError: onnx cannot convert an operator.
    """
    version = next(o.version for o in proto.opset_import if o.domain in _DEFAULT)
    if version >= OLDEST_OPSET:
        return proto
    try:
        newer = version_converter.convert_version(proto, _OPSET)
    except Exception as error:  # the converter raises RuntimeError and worse
        why = next(filter(None, str(error).splitlines()), type(error).__name__)
        raise UnsupportedError(
            f"the model has opset {version}, at least {OLDEST_OPSET} is needed, and onnx cannot convert it "
            f"({why[:200]}): export it anew at opset {_OPSET}"
        ) from error
    newer.ir_version = max(newer.ir_version, _IR)
    return newer


def with_first_output(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with one of its outputs before the others; itself where that is the first already."""
    if proto.graph.output[0].name == name:
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.graph.output[:]
    copy.graph.output.extend(sorted(proto.graph.output, key=lambda value: value.name != name))
    return copy


def with_ir_version(proto: onnx.ModelProto, newest: int) -> onnx.ModelProto | None:
    """The model with an IR version that a runtime reads; None where its opsets need a newer one."""
    needed = helper.find_min_ir_version_for(list(proto.opset_import), ignore_unknown=True)
    if needed > newest:
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    copy.ir_version = newest
    return copy
