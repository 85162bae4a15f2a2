"""Float graphs for TensorRT builds: the operator set a parser reads, and float16 or bfloat16 graphs.

Strongly typed builds take every type from the graph, so a half-precision build needs a half-precision graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...profiles.errors import UnsupportedError
from .ranges import need_onnxruntime

if TYPE_CHECKING:
    import onnx

# IR version that came with an operator set: older parsers refuse files that name a later one.
_IR = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 11}

# Kept in float32 between casts: Resize and ConstantOfShape by the definition of ONNX, transposed convolutions
# because TensorRT-RTX 1.7 has no bfloat16 kernels for them.
_KEPT_FLOAT32 = ("Resize", "Upsample", "ConstantOfShape", "ConvTranspose")


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
    before = opset_of(model)
    for node in model.graph.node:
        if node.domain in ("", "ai.onnx"):
            _lower_node(node, constants, before, version)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = version


def _lower_node(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto], before: int, after: int
) -> None:
    from onnx import helper, numpy_helper

    if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum" and len(node.input) > 1:
        axes = constants.get(node.input[1])
        if after < 18 and axes is not None:  # axes became an input in 18
            del node.input[1:]
            node.attribute.append(helper.make_attribute("axes", numpy_helper.to_array(axes).tolist()))
    newer, older = _schema(node, before), _schema(node, after)
    known = set(older.attributes) if older is not None else set()
    defaults = {name: a.default_value for name, a in newer.attributes.items()} if newer is not None else {}
    # An even split into as many parts as there are outputs is what older versions do anyway.
    defaults["num_outputs"] = helper.make_attribute("num_outputs", len(node.output))
    kept = [a for a in node.attribute if a.name in known or not _same(a, defaults.get(a.name))]
    del node.attribute[:]
    node.attribute.extend(kept)
    unknown = [a.name for a in kept if a.name not in known]
    if older is None or unknown or len(node.input) > older.max_input:
        what = f"{node.op_type} {node.name!r}" + (f" with {', '.join(unknown)}" if unknown else "")
        raise UnsupportedError(
            f"trt: this TensorRT reads ONNX operator sets up to {after}, and {what} does not exist there; "
            f"export the model with opset {after}"
        )


def _schema(node: onnx.NodeProto, version: int) -> onnx.defs.OpSchema | None:
    from onnx import defs

    try:
        return defs.get_schema(node.op_type, version)
    except defs.SchemaError:
        return None


def _same(given: onnx.AttributeProto, default: onnx.AttributeProto | None) -> bool:
    """Whether an attribute has its default value, so that leaving it out changes nothing."""
    from onnx import helper

    if default is None or default.type != given.type:
        return False
    return bool(helper.get_attribute_value(given) == helper.get_attribute_value(default))


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float16 graph whose inputs and outputs keep their types; scales of pairs become float16 too.

    Raises:
        UnsupportedError: onnxruntime, whose converter does it, is not installed.
    """
    need_onnxruntime("a float16 graph")
    from ..onnx_graph import inspect

    return inspect.to_float16(model)


def to_bfloat16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A bfloat16 graph whose inputs and outputs keep their types: constants are rounded, edges get casts.

    Raises:
        UnsupportedError: the graph has branches or loops.
    """
    import onnx

    brain = onnx.ModelProto()
    brain.CopyFrom(model)
    graph = brain.graph
    floats = _float_tensors(brain)
    others = {name for node in graph.node if node.op_type not in _KEPT_FLOAT32 for name in node.input}
    exempt = {tensor.name for tensor in graph.initializer} - others
    for tensor in graph.initializer:
        if tensor.name not in exempt:
            _round(tensor)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type in _KEPT_FLOAT32:
            nodes += _island(node, floats, exempt)
        else:
            _round_attributes(node)
            nodes.append(node)
    ordered = onnx.GraphProto(node=nodes)  # copies: clearing the list would empty nodes that it owns
    del graph.node[:]
    graph.node.extend(ordered.node)
    del graph.value_info[:]
    _cast_edges(graph)
    return brain


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    """Names of the float32 tensors, inner ones included."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    float32 = onnx.TensorProto.FLOAT
    found = {value.name for value in values if value.type.tensor_type.elem_type == float32}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == float32}


def _island(node: onnx.NodeProto, floats: set[str], exempt: set[str]) -> list[onnx.NodeProto]:
    """A node that stays float32, with casts in front of and behind it."""
    from onnx import TensorProto, helper

    before, after = [], []
    for index, name in enumerate(node.input):
        if name in floats and name not in exempt:
            node.input[index] = f"{name}_to_{node.output[0]}"
            before.append(helper.make_node("Cast", [name], [node.input[index]], to=TensorProto.FLOAT))
    for index, name in enumerate(node.output):
        if name in floats:
            node.output[index] = f"{name}_f32"
            after.append(helper.make_node("Cast", [node.output[index]], [name], to=TensorProto.BFLOAT16))
    return [*before, node, *after]


def _round_attributes(node: onnx.NodeProto) -> None:
    """Make a node's own constants and the type that it casts to bfloat16."""
    from onnx import TensorProto, helper

    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs:
            raise UnsupportedError(
                f"trt: bf16 needs a graph without branches; found {node.op_type} {node.name!r}"
            )
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.BFLOAT16
        if node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            values = [attribute.f] if attribute.name == "value_float" else list(attribute.floats)
            dims = [] if attribute.name == "value_float" else [len(values)]
            made = helper.make_tensor("value", TensorProto.FLOAT, dims, values)
            attribute.CopyFrom(helper.make_attribute("value", made))
        if attribute.HasField("t"):
            _round(attribute.t)


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
