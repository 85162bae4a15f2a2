"""A model in OpenVINO, on the CPU. Needs numpy and openvino alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.precision import Precision
from ...profiles.words import one_line
from ..contract.backend import Array, Feed, Session, TensorSpec
from ..contract.options import USUAL, Options
from ..contract.placement import ModelPlacement
from ..onnx_graph.written import read_graph
from .options import taken, told_where
from .placement import MeantLow, RanNode, meant_low, placed, ran_nodes, without_first

COMPUTES = "paretune.computes"
"""Under this name a file's own metadata say how it is to be computed, where that is not in float32."""
_TYPE, _GROUP = "INFERENCE_PRECISION_HINT", "DYNAMIC_QUANTIZATION_GROUP_SIZE"
_FLOAT = MappingProxyType({_TYPE: "f32", _GROUP: 0})
_HOW = MappingProxyType(
    {
        Precision.BF16.value: {**_FLOAT, _TYPE: "bf16"},
        # Activations of matrix products in groups of 32, as OpenVINO does by default.
        Precision.INT8_DYNAMIC.value: {**_FLOAT, _GROUP: 32},
    }
)
_SPARSE = {"CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE": 0.7}
"""From this share of zeros on, weights of int8 matrix products stay packed, where the processor has AMX."""
RUNS = 4
"""Of a session that times its nodes."""
_TOOLS = "openvino.tools.ovc"
_MISSING = re.compile(r"(?:No conversion rule found for operations|Conversion is failed for): (.+)")
_SAYS_WHERE = re.compile(r"^(Exception from|Check '.*' failed at) \S+:?$")
_MOST = 300


def load_runtime() -> Any:
    """The module, without its tools: they report each import to their maker and write into the user's home.

    Raises:
        Exception: whatever a broken installation raises.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    sys.modules.setdefault(_TOOLS, None)  # type: ignore[arg-type]  # openvino does without, where it is missing
    try:
        return import_module("openvino")
    finally:
        if sys.modules.get(_TOOLS) is None:
            sys.modules.pop(_TOOLS, None)


class OpenVinoSession(Session):
    """One inference request, computed as the file says, or `how` in its place.

    The file of a model is an ONNX file whose batch is fixed. `told`: it
    can say what ran and was meant, times its nodes, and is not one to measure.
    """

    def __init__(
        self,
        artifact: Path,
        threads: int,
        how: str | None = None,
        options: Options = USUAL,
        *,
        told: bool = False,
    ) -> None:
        self._opened = (artifact, threads, how, options)
        where = told_where(threads, options)
        core = load_runtime().Core()
        timed = {"PERF_COUNT": True} if told else {}
        with _explained():
            model = core.read_model(str(artifact))
            asked = _HOW.get(_computes(model) if how is None else how, _FLOAT)
            compiled = core.compile_model(model, "CPU", {**where, **_SPARSE, **asked, **timed})
        _check(compiled, asked)
        self.taken = taken(compiled)
        self._model: Any = model if told else None
        self._hint = str(asked[_TYPE])
        self.inputs = tuple(_spec(port, port.node.friendly_name) for port in model.inputs)
        self.outputs = tuple(_spec(port, _output_name(port)) for port in model.outputs)
        self._compiled: Any = compiled
        self._request: Any = compiled.create_infer_request()
        # Views of memory that stays where it is, but for outputs whose size depends on what is fed.
        self._feeds = [self._request.get_input_tensor(i).data for i in range(len(self.inputs))]
        self._results = [
            None if -1 in spec.shape else self._request.get_output_tensor(i).data
            for i, spec in enumerate(self.outputs)
        ]

    def _run(self, feed: Feed) -> dict[str, Array]:
        request = self._request
        for spec, place in zip(self.inputs, self._feeds, strict=True):
            place[...] = feed[spec.name]
        request.infer()
        results = {}
        for i, (spec, view) in enumerate(zip(self.outputs, self._results, strict=True)):
            found = request.get_output_tensor(i).data if view is None else view
            results[spec.name] = found.copy()  # the next run writes to the same memory
        return results

    def ran(self) -> list[RanNode]:
        """The nodes of the runtime model, with their kernels."""
        return ran_nodes(self._compiled.get_runtime_model())

    def meant(self) -> dict[str, MeantLow]:
        """What the file means to run in less than float32. Of a session that is `told`: operators have other
        names each time that a file is read."""
        assert self._model is not None
        return meant_low(self._model, self._hint)

    def placement(self, feed: Feed) -> ModelPlacement | None:
        told = OpenVinoSession(*self._opened, told=True)
        with told:
            told.run(feed)
            first = told.ran()
            for _ in range(RUNS - 1):
                told.run(feed)
            nodes = read_graph(self._opened[0]).nodes
            own = {name for node in nodes for name in (node.name, *node.outputs)}
            return placed(without_first(told.ran(), first, RUNS), told.meant(), own)

    def close(self) -> None:
        self._request = self._compiled = self._model = None
        self._feeds, self._results = [], []


def _check(compiled: Any, asked: dict[str, Any] | MappingProxyType[str, Any]) -> None:
    """Refuse a model that is computed in another type than was asked for: a hint is but a hint.

    Raises:
        UnsupportedError: it is.
    """
    found = {
        _TYPE: compiled.get_property(_TYPE).get_type_name(),
        _GROUP: int(compiled.get_property(_GROUP)),
    }
    for name, wanted in asked.items():
        if found[name] != wanted:
            raise UnsupportedError(f"OpenVINO was asked for {name} {wanted} and takes {found[name]} here")


def _computes(model: Any) -> str:
    place = ["framework", COMPUTES]
    return str(model.get_rt_info(place).astype(str)) if model.has_rt_info(place) else ""


def _output_name(port: Any) -> str:
    """The file's own name of an output: the port's, where fusions have not given it several."""
    own = str(port.node.friendly_name).removesuffix("/sink_port_0")
    return own if own in port.names else str(port.any_name)


def _spec(port: Any, name: str) -> TensorSpec:
    if port.element_type.get_type_name() == "string":
        raise UnsupportedError(f"sessions of OpenVINO take and give numbers, and {name!r} holds text")
    shape = tuple(axis.get_length() if axis.is_static else -1 for axis in port.partial_shape)
    return TensorSpec(name=name, dtype=port.element_type.to_dtype().name, shape=shape)


@contextmanager
def _explained() -> Iterator[None]:
    """What OpenVINO raises where it cannot have a model, in a line.

    Raises:
        UnsupportedError: it has no operator of some name.
        StageError: anything else.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        if missing := _MISSING.search(str(error)):
            raise UnsupportedError(f"OpenVINO cannot take the operators {missing[1].strip()}") from error
        said = one_line(" ".join(_without_places(str(error).splitlines())), _MOST)
        raise StageError("compile", f"OpenVINO cannot load the model: {said}", str(error)) from error


def _without_places(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a message that do not name places in OpenVINO's own code."""
    yield from (line.strip() for line in lines if not _SAYS_WHERE.match(line.strip()))
