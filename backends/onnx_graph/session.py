"""An ONNX file run on the CPU, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contract.backend import Array, CalibrationData, Feed, Session, TensorSpec, batches

if TYPE_CHECKING:
    from onnx import ModelProto

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
}

SPINS = "session.intra_op.allow_spinning"
RUNTIME = "onnxruntime"
"""The package that runs ONNX files here: for its own backend, and as the float model's reference."""


def as_usual(runtime: Any, options: Any) -> None:
    """Threads sleep while there is nothing to do: those that spin after a run take the cores from whatever is
    measured next."""
    options.add_session_config_entry(SPINS, "0")


class OrtSession(Session):
    """One InferenceSession with a fixed number of threads. `told` sets what else the session is told.

    `as_written`: every node runs by itself, without fusions (some of which make nodes that have no kernel).
    `profile`: a folder for `end_profiling`; such a session times its nodes, and is not one to measure. With
    `keep_graph`, it also writes the model there as it really runs, which may be large.
    """

    def __init__(
        self,
        model: str | bytes,
        threads: int,
        *,
        as_written: bool = False,
        profile: Path | None = None,
        keep_graph: bool = False,
        told: Callable[[Any, Any], None] = as_usual,
    ) -> None:
        runtime = import_module(RUNTIME)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        levels = runtime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_DISABLE_ALL if as_written else levels.ORT_ENABLE_ALL
        options.log_severity_level = 3
        told(runtime, options)
        self._optimized = profile / "optimized.onnx" if profile and keep_graph else None
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile / "profile")
        if self._optimized:
            options.optimized_model_filepath = str(self._optimized)
        self._session: Any = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(_spec(value) for value in self._session.get_inputs())
        self.outputs = tuple(_spec(value) for value in self._session.get_outputs())
        self._names = [spec.name for spec in self.outputs]

    def _run(self, feed: Feed) -> dict[str, Array]:
        return dict(zip(self._names, self._session.run(self._names, feed), strict=True))

    @property
    def said(self) -> Any:
        """The options that the session has taken."""
        return self._session.get_session_options()

    def run_free(self, feed: Feed) -> dict[str, Array]:
        """Run on arrays of whatever sizes the model's free axes take."""
        return self._run(feed)

    def end_profiling(self) -> tuple[Path, Path | None]:
        """Of a session that was given a folder: the times of all nodes, and the model as it really runs."""
        return Path(self._session.end_profiling()), self._optimized

    @property
    def provider(self) -> str:
        """Who was asked to run the nodes: the first of the session's execution providers."""
        return str(self._session.get_providers()[0])

    def close(self) -> None:
        self._session = None


def _spec(value: Any) -> TensorSpec:
    dtype = _DTYPES.get(value.type) or value.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(name=value.name, dtype=dtype, shape=shape)


def observed(
    proto: ModelProto, names: Iterable[str], data: CalibrationData, batch: int, threads: int = 1
) -> Iterator[dict[str, Array]]:
    """Values of the named tensors, inputs and inner ones alike, on each batch of the samples."""
    from onnx import ModelProto, ValueInfoProto

    wanted = set(names)
    made = wanted & {name for node in proto.graph.node for name in node.output}
    widened = ModelProto()
    widened.CopyFrom(proto)
    del widened.graph.output[:]
    widened.graph.output.extend(ValueInfoProto(name=name) for name in sorted(made))
    with ExitStack() as stack:
        session = stack.enter_context(OrtSession(widened.SerializeToString(), threads)) if made else None
        for feed in batches(data, batch):
            values = {**feed, **(session._run(feed) if session else {})}
            yield {name: value for name, value in values.items() if name in wanted}


def run_all(proto: ModelProto, feed: Feed) -> dict[str, Array]:
    """All outputs of a model by name, by ONNX's reference evaluator where ONNX Runtime is not installed."""
    try:
        session = OrtSession(proto.SerializeToString(), 1)
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(proto)
        outputs: Any = evaluator.run(None, dict(feed))
        return dict(zip(evaluator.output_names, map(np.asarray, outputs), strict=True))
    with session:
        return session._run(feed)
