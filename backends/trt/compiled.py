"""One compilation from the source to a plan, and what the plan really holds.

Where the builder lists its layers, what it says counts: a layer that it runs in float although the graph has
it quantized is built again as float, because pairs around it cost time and exactness for nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ...profiles.words import listed, one_line
from ..contract.agreement import check_agreement
from ..contract.backend import CalibrationData, CompileSettings, SourceModel
from ..onnx_graph.session import RUNTIME, OrtSession
from .build import BuildPlan
from .graphs import QUANTIZED, Blueprint, weight_bytes
from .layers import KIND, stayed_float, unpacked_apart

if TYPE_CHECKING:
    import onnx

    from ..onnx_graph.layers import Layer

_MOST_WORDS = 200
# Bytes of one element.
_SIZE = {"float32": 4.0, "float16": 2.0, "int8": 1.0, "float8": 1.0, "int4": 0.5}


@dataclass(frozen=True, kw_only=True)
class Built:
    """A plan with the graph that it was built from.

    `kept` are the layers that were to stay float, `stayed` those that did so by themselves.
    """

    blueprint: Blueprint
    graph: onnx.ModelProto
    plan: BuildPlan
    kept: tuple[Layer, ...] = ()
    stayed: tuple[Layer, ...] = ()

    @property
    def weight_bytes(self) -> dict[str, int]:
        """Bytes of constants by storage type: the builder's own list where there is one."""
        return self._listed or weight_bytes(self.graph)

    @property
    def covered(self) -> dict[str, int] | None:
        """Bytes that must mostly be at the precision: those of weights as `stored_as` has them. None where
        the builder picks types by itself and does not tell."""
        if self.blueprint.precision not in QUANTIZED:
            return self.weight_bytes if self._listed or not self.blueprint.weakly_typed else None
        totals = Counter[str]()
        for layer in self.blueprint.layers:
            if self._is_low(layer):
                totals[KIND[self.blueprint.precision]] += layer.weights
        for (_, kind), weights in self.read_by.items():
            totals[kind] += weights
        return {kind: int(count * _SIZE[kind]) for kind, count in totals.items() if kind in _SIZE}

    @property
    def read_by(self) -> dict[tuple[str, str], int]:
        """Number of weights that are not at the precision, by operator and type."""
        from ..onnx_graph.stored import read_by

        return read_by(self.graph)

    @property
    def stored_as(self) -> dict[str, str]:
        """The type in which the engine has each layer's weight; nothing for float precisions."""
        return {layer.name: self._kind(layer) for layer in self.blueprint.layers}

    def _kind(self, layer: Layer) -> str:
        if self._is_low(layer):
            return KIND[self.blueprint.precision]
        return "float32" if self.blueprint.weakly_typed else "float16"

    def _is_low(self, layer: Layer) -> bool:
        return layer in self.blueprint.reached and layer not in (*self.kept, *self.stayed)

    @property
    def _listed(self) -> dict[str, int]:
        return self.plan.layers.weight_bytes if self.plan.layers is not None else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the types come from, and which layers have no kernel."""
        notes, precision = [self._source()], self.blueprint.precision
        if self.stayed:
            names = listed(layer.name for layer in self.stayed)
            notes.append(f"{names}: built in float, since the engine has no {precision} kernel there")
        if precision is Precision.INT4_WEIGHT and (apart := self._unpacked()):
            notes.append(f"{listed(apart)}: the engine unpacks these 4-bit weights before it multiplies")
        return tuple(notes)

    def _unpacked(self) -> list[str]:
        small = filter(self._is_low, self.blueprint.layers)
        return [one.name for one in unpacked_apart(self.plan.layers, small, self.blueprint.precision)]

    def _source(self) -> str:
        if self._listed and self.plan.layers is not None:
            return f"{self.plan.layers.summary}; weight types are those it lists"
        picks = self.blueprint.weakly_typed and self.blueprint.precision is not Precision.FP32
        note = "weight types are those of the graph given to TensorRT"
        return note + (f", which picks {self.blueprint.precision} layer by layer" if picks else "")


def compiled(
    blueprint: Blueprint, keep_float: Iterable[str], build: Callable[[onnx.ModelProto], BuildPlan]
) -> Built:
    """Build, and once more where layers stayed float.

    Raises:
        UnsupportedError: see `build`; layers are to stay float at a precision that has no mixed precision.
        ValueError: a layer that is to stay float is none.
    """
    kept = _kept(blueprint, tuple(keep_float))
    graph = blueprint.graph(_nodes(kept))
    first = Built(blueprint=blueprint, graph=graph, plan=build(graph), kept=kept)
    quantized = [layer for layer in blueprint.reached if layer not in kept]
    stayed = stayed_float(first.plan.layers, quantized, blueprint.precision, blueprint.sites())
    if not stayed:
        return first
    graph = blueprint.graph(_nodes((*kept, *stayed)))
    # With nothing left, coverage refuses it as it is.
    plan = first.plan if len(stayed) == len(quantized) else build(graph)
    return Built(blueprint=blueprint, graph=graph, plan=plan, kept=kept, stayed=stayed)


def _kept(blueprint: Blueprint, keep_float: tuple[str, ...]) -> tuple[Layer, ...]:
    from ..onnx_graph.layers import kept_layers

    if keep_float and blueprint.precision not in QUANTIZED:
        raise UnsupportedError(
            f"trt keeps single layers in float at {', '.join(QUANTIZED)}, not at {blueprint.precision}"
        )
    return kept_layers(blueprint.layers, keep_float)


def _nodes(layers: Iterable[Layer]) -> frozenset[str]:
    return frozenset(node for layer in layers for node in layer.nodes)


def simulated(
    graph: onnx.ModelProto, model: SourceModel, settings: CompileSettings, samples: CalibrationData | None
) -> tuple[str, ...]:
    """The very graph that TensorRT is given, under ONNX Runtime on the CPU: how it agrees with the source.

    For machines on which the engine itself cannot run. Nothing where ONNX Runtime is not installed, or has
    no kernels for the types (bfloat16) or operators.

    Raises:
        StageError: it computes something else.
    """
    from ..onnx_graph.inspect import fix_batch, with_batch

    if find_spec(RUNTIME) is None or settings.precision is Precision.BF16:
        return ()
    own = type(graph).FromString(graph.SerializeToString())
    fix_batch(own, settings.batch)
    source = with_batch(model.path, settings.batch)
    try:
        wanted = OrtSession(source.SerializeToString(), 1)
        got = OrtSession(own.SerializeToString(), 1, as_written=True)
    except Exception as error:  # onnxruntime's errors have no base class of their own
        return (f"not simulated on the CPU: {one_line(str(error), _MOST_WORDS)}",)
    with wanted, got:
        notes = check_agreement(wanted, got, settings.batch, samples)
    return tuple(f"simulated on the CPU, it {note}" for note in notes)
