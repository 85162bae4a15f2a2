"""Float graphs for TensorRT builds: the operator set a parser reads, and float16 or bfloat16 graphs.

Strongly typed builds take every type from the graph, so a half-precision build needs a half-precision graph.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..profiles.errors import UnsupportedError
from .trt_ranges import need_onnxruntime

if TYPE_CHECKING:
    import onnx

# IR version that came with an operator set: older parsers refuse files that name a later one.
_IR = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 11}


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operator set that a model names."""
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def at_opset(model: onnx.ModelProto, lowest: int, highest: int) -> onnx.ModelProto:
    """A copy with an operator set between `lowest` and `highest`, converted only where needed.

    Raises:
        UnsupportedError: an operator cannot be expressed there.
    """
    import onnx

    version = opset_of(model)
    if version < lowest:
        moved = onnx.version_converter.convert_version(model, lowest)
    else:
        moved = onnx.ModelProto()
        moved.CopyFrom(model)
    if version > highest:
        _lower(moved, highest)
    moved.ir_version = min(moved.ir_version, _IR.get(opset_of(moved), moved.ir_version))
    return moved


def _lower(model: onnx.ModelProto, version: int) -> None:
    """Rewrite nodes in place for an older operator set. onnx's own converter only goes up reliably."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.domain in ("", "ai.onnx"):
            _lower_node(node, constants, version)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = version


def _lower_node(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], version: int) -> None:
    from onnx import defs, helper, numpy_helper

    if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and len(node.input) > 1:
        axes = constants.get(node.input[1])
        if version < 18 and axes is not None:  # axes became an input in 18
            del node.input[1:]
            node.attribute.append(helper.make_attribute("axes", numpy_helper.to_array(axes).tolist()))
    _drop(node, {"noop_with_empty_axes": 0, "saturate": 1})
    if node.op_type == "Split" and version < 18:
        _drop(node, {"num_outputs": len(node.output)})  # an even split is the default before 18
    try:
        schema = defs.get_schema(node.op_type, version)
    except defs.SchemaError:
        schema = None
    unknown = [a.name for a in node.attribute if schema is not None and a.name not in schema.attributes]
    if schema is None or unknown or len(node.input) > schema.max_input:
        what = f"{node.op_type} {node.name!r}" + (f" with {', '.join(unknown)}" if unknown else "")
        raise UnsupportedError(
            f"trt: this TensorRT reads ONNX operator sets up to {version}, and {what} does not exist there; "
            f"export the model with opset {version}"
        )


def _drop(node: onnx.NodeProto, neutral: dict[str, int]) -> None:
    """Remove attributes that have the value they would have anyway."""
    kept = [a for a in node.attribute if a.name not in neutral or a.i != neutral[a.name]]
    del node.attribute[:]
    node.attribute.extend(kept)


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float16 graph whose inputs and outputs keep their types; scales of pairs become float16 too.

    Raises:
        UnsupportedError: onnxruntime, whose converter does it, is not installed.
    """
    need_onnxruntime("a float16 graph")
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    logging.getLogger("onnxruntime.transformers.float16").setLevel(logging.ERROR)
    half = convert_float_to_float16(copy, keep_io_types=True)
    OnnxModel(half).topological_sort()  # the converter appends its casts at the end
    assert isinstance(half, onnx.ModelProto)
    return half


def to_bfloat16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A bfloat16 graph whose inputs and outputs keep their types: constants are rounded, edges get casts."""
    import onnx
    from onnx import TensorProto

    brain = onnx.ModelProto()
    brain.CopyFrom(model)
    graph = brain.graph
    for tensor in graph.initializer:
        _round(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.BFLOAT16
            if attribute.HasField("t"):
                _round(attribute.t)
    del graph.value_info[:]
    _cast_edges(graph)
    return brain


def _round(tensor: onnx.TensorProto) -> None:
    """Turn a float32 tensor into bfloat16 in place (round to nearest, ties to even)."""
    from onnx import TensorProto, helper, numpy_helper

    if tensor.data_type != TensorProto.FLOAT:
        return
    values = numpy_helper.to_array(tensor)
    raw = values.astype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)).tobytes()
    tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.BFLOAT16, tensor.dims, raw, raw=True))


def _cast_edges(graph: onnx.GraphProto) -> None:
    """Casts behind float inputs and in front of float outputs."""
    from onnx import TensorProto, helper

    first = []
    for value in graph.input:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            inner = f"{value.name}_bf16"
            _rename(graph, value.name, inner)
            first.append(helper.make_node("Cast", [value.name], [inner], name=inner, to=TensorProto.BFLOAT16))
    nodes = [*first, *(_copy(node) for node in graph.node)]
    for value in graph.output:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            inner = f"{value.name}_bf16"
            for node in nodes:
                _replace(node.output, value.name, inner)
                _replace(node.input, value.name, inner)
            nodes.append(helper.make_node("Cast", [inner], [value.name], name=inner, to=TensorProto.FLOAT))
    del graph.node[:]
    graph.node.extend(nodes)


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        _replace(node.input, old, new)


def _replace(names: list[str], old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new
