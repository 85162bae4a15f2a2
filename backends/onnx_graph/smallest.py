"""The smallest model: what a session for it takes, a runtime takes for itself."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, helper

_OPSET, _FORMAT = 18, 9


def smallest() -> ModelProto:
    """One number a sample, and what of it is above zero."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "smallest", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", _OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=_FORMAT)
