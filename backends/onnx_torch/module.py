"""An ONNX model as a PyTorch module, for inputs of fixed sizes.

Whatever does not depend on the input (shapes, masks of constants, branches that are always taken, loops of
known length) is computed once by ONNX's reference; the rest is steps, run in the order of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import inliner, numpy_helper
from torch import Tensor, nn

from ...profiles.errors import UnsupportedError
from .all_operators import KNOWN
from .constants import evaluated
from .control import BODIES, Scope, run_control
from .fusing import with_gelu
from .operators import Node, read_node
from .rewriting import rewritten
from .steps import Array, GraphStep, StepModule, Traced, Value, step_of, tensor_of

_RANDOM = frozenset(
    ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
)


class OnnxModule(nn.Module):
    """The model of an ONNX file. Takes the inputs in their order, returns a tuple of its outputs.

    Raises:
        UnsupportedError: an operator has no counterpart in PyTorch; names it.
    """

    def __init__(self, proto: onnx.ModelProto, feed: Mapping[str, Array]) -> None:
        super().__init__()
        graph = _expanded(proto)
        build = _Build(list(graph.opset_import))
        scope: Scope = {name: build.fresh(torch.from_numpy(np.array(array))) for name, array in feed.items()}
        build.graph(graph.graph, scope)
        self.inputs, self.outputs = tuple(feed), tuple(value.name for value in graph.graph.output)
        self._ends = [scope[name] for name in self.outputs]
        self.steps = with_gelu(build.steps, {end.slot for end in self._ends if isinstance(end, Traced)})
        self._layers: dict[int, str] = {}
        made_by: dict[int, str] = {}
        for number, step in enumerate(self.steps):
            if step.weighted:
                self._layers[number] = name = self._layer(step, step.node.name or step.node.called)
                made_by.update(dict.fromkeys(step.results, name))
            elif step.shapes and step.slots[0] in made_by:  # converters fuse it into the layer before it
                name = f"{made_by[step.slots[0]]}_{step.node.called}"
                self._layers[number] = self._layer(step, name)
            else:
                for position, tensor in step.constants.items():
                    self.register_buffer(f"constant{number}_{position}", tensor)
        for number, end in enumerate(self._ends):
            if not isinstance(end, Traced):
                self.register_buffer(f"output{number}", torch.from_numpy(np.array(end)))

    def _layer(self, step: GraphStep, wanted: str) -> str:
        """Put a layer in, under a name that paths of modules can hold."""
        plain = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_") or step.node.called
        name = plain = f"n{plain}" if plain[0].isdigit() else plain
        number = 1
        while hasattr(self, name):
            name, number = f"{plain}_{number}", number + 1
        self.add_module(name, StepModule(step))
        return name

    @property
    def wide(self) -> bool:
        """Whether an output holds integers of 64 bits."""
        return any(isinstance(end, Traced) and end.sample.dtype == torch.int64 for end in self._ends)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """All outputs, in the order of the file."""
        values = dict(enumerate(inputs))
        for number, step in enumerate(self.steps):
            made = self.made(number, [values[slot] for slot in step.slots])
            values.update(zip(step.results, made, strict=True))
        return tuple(
            values[end.slot] if isinstance(end, Traced) else getattr(self, f"output{number}")
            for number, end in enumerate(self._ends)
        )

    def made(self, number: int, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What one step gives for the values at its traced inputs."""
        step = self.steps[number]
        if number in self._layers:
            outputs = getattr(self, self._layers[number])(*values)
            return outputs if isinstance(outputs, tuple) else (outputs,)
        return step.run(values, {p: getattr(self, f"constant{number}_{p}") for p in step.constants})


class _Build:
    """The steps of a module while it is made."""

    def __init__(self, opsets: list[onnx.OperatorSetIdProto]) -> None:
        self.opsets, self.steps = opsets, list[GraphStep]()
        self._slots = 0
        self._tensors: dict[int, Tensor] = {}
        self._kept: list[Array] = []  # their identities are keys

    def fresh(self, sample: Tensor) -> Traced:
        """A value of its own."""
        self._slots += 1
        return Traced(self._slots - 1, sample)

    def graph(self, graph: onnx.GraphProto, scope: Scope) -> None:
        """Add a graph's names to a scope, and its steps to those of the module."""
        for tensor in graph.initializer:
            scope[tensor.name] = numpy_helper.to_array(tensor)
        for proto in graph.node:
            inputs = [scope[name] if name else None for name in proto.input]
            outputs = (
                run_control(self, proto, inputs, scope)
                if proto.op_type in BODIES
                else self.node(proto, inputs)
            )
            scope.update({name: value for name, value in zip(proto.output, outputs, strict=False) if name})

    def node(self, proto: onnx.NodeProto, inputs: list[Value]) -> Sequence[Value]:
        """What a node gives: known where all that it reads is, else a step."""
        node = read_node(proto)
        if node.operator in _RANDOM:
            raise node.refused("it is random")
        if node.operator in ("Shape", "Size") and isinstance(inputs[0], Traced):
            return [_shape(node, inputs[0].sample)]
        if not any(isinstance(value, Traced) for value in inputs):
            return self._constant(proto, inputs, node)
        node, inputs = rewritten(node, inputs)
        return self.step(node, inputs)

    def step(self, node: Node, inputs: Sequence[Value]) -> Sequence[Value]:
        """Run one step on the sample, and keep it."""
        for value in inputs:
            if isinstance(value, np.ndarray) and id(value) not in self._tensors:
                self._kept.append(value)
                if value.dtype.kind in "biuf":
                    self._tensors[id(value)] = tensor_of(node, value)
        step = step_of(node, inputs, self._tensors)
        samples = [value.sample for value in inputs if isinstance(value, Traced)]
        try:
            with torch.no_grad():
                made = step.run(samples, step.constants)
        except UnsupportedError:
            raise
        except Exception as error:  # PyTorch raises whatever it likes
            raise node.refused(str(error).strip().splitlines()[0][:200]) from error
        values = [self.fresh(tensor) for tensor in made]
        step.results.extend(value.slot for value in values)
        self.steps.append(step)
        return values

    def _constant(self, proto: onnx.NodeProto, inputs: list[Value], node: Node) -> list[Array]:
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in proto.output if name]
        model = onnx.helper.make_model(
            onnx.helper.make_graph([proto], "g", [], outputs), opset_imports=self.opsets
        )
        feed = {name: value for name, value in zip(proto.input, inputs, strict=True) if name}
        try:
            made = iter(evaluated(model, feed))
        except (
            Exception
        ) as error:  # the reference raises whatever numpy raises, also where only itself is wrong
            return _by_torch(node, inputs, error)
        return [next(made) if name else np.array(0) for name in proto.output]


def _by_torch(node: Node, inputs: list[Value], error: Exception) -> list[Array]:
    """What an operator makes of constants, by what stands for it in PyTorch."""
    try:
        step = step_of(node, inputs, {})
        return [np.asarray(tensor.numpy()) for tensor in step.run([], step.constants)]
    except Exception as its:
        why = f"its constants cannot be computed ({str(error).strip()[:150]})"
        raise node.refused(why) from its


def _shape(node: Node, sample: Tensor) -> Array:
    if node.operator == "Size":
        return np.array(sample.numel(), np.int64)
    return np.array(tuple(sample.shape)[slice(node.get("start", 0), node.get("end"))], np.int64)


def _expanded(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with operators that nothing stands for written out, where ONNX defines them by others."""
    known: Any = [*KNOWN, *(("", name) for name in (*BODIES, "Range"))]
    try:
        return inliner.inline_selected_functions(proto, known, exclude=True, inline_schema_functions=True)
    except Exception:  # an older onnx, or a definition that needs types which the file lacks
        return proto
