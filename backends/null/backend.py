"""A deterministic backend without a runtime: numbers of ONNX's reference evaluator, latency by formula.

It takes the place of mocks: the driver, the runner and the reports are tried against it, crashes included.
Weights are really rounded to the precision and stored at its bits, so that size and accuracy move as they
do elsewhere. Needs numpy and onnx.

The environment variable `PARETUNE_NULL_SCRIPT` makes it misbehave. It holds a JSON object that maps
"<precision>/<stage>" (stage: compile, open or run; precision may be "*") to one of

* refuse    raise UnsupportedError             * error    raise RuntimeError
* segfault  die of SIGSEGV                     * abort    die of SIGABRT
* hang      sleep for ever                     * oom      allocate memory until there is none
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from ...profiles.errors import UnsupportedError, UserError
from ...profiles.precision import Precision
from ..contract.backend import (
    CALIBRATION_METHODS,
    Array,
    Artifact,
    Availability,
    Backend,
    CalibrationData,
    CompileSettings,
    Feed,
    LayerGroup,
    Session,
    SourceModel,
    TensorSpec,
    artifact_path,
)

SCRIPT = "PARETUNE_NULL_SCRIPT"
BEHAVIOURS = ("refuse", "error", "segfault", "abort", "hang", "oom")
_STAGES = ("compile", "open", "run")
_CALL_NS, _WEIGHT_NS = 20_000, 2.0


class NullBackend(Backend):
    """Runs everywhere, every precision, always the same."""

    name: ClassVar[str] = "null"
    source_format: ClassVar[str] = "onnx"
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS

    def availability(self) -> Availability:
        """Always installed: onnx is a dependency of Paretune."""
        return Availability(installed=True, version="1")

    def compile(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Artifact:
        """Write `into/model.null`: the weights at the precision's bits beside the graph; see the contract."""
        from .format import matrices, pack

        if settings.precision.decoded.calibrated and not calibration:
            raise ValueError(f"{settings.precision} needs calibration data")
        if settings.calibration_method not in self.calibration_methods:
            raise UnsupportedError(f"unknown calibration method {settings.calibration_method!r}")
        if unknown := set(settings.keep_float) - set(matrices(model.path)):
            raise ValueError(f"keep_float names no layers of this model: {', '.join(sorted(unknown))}")
        misbehave(settings.precision, "compile")
        path = artifact_path(model, into, "model.null")
        content, weight_bytes, stored_as = pack(
            model.path, settings.precision, settings.batch, settings.per_channel, settings.keep_float
        )
        path.write_bytes(content)
        return Artifact(
            path=path,
            backend=self.name,
            precision=settings.precision,
            size_bytes=len(content),
            weight_bytes=weight_bytes,
            versions={"null": self.availability().version},
            stored_as=stored_as,
        )

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        """One group for each matrix; none at fp32."""
        from .format import matrices

        if precision is Precision.FP32:
            return ()
        return tuple(
            LayerGroup(name=name, layers=(name,), weights=count)
            for name, count in matrices(model.path).items()
        )

    def open(self, artifact: Path, batch: int, threads: int) -> Session:
        """Load an artifact; ValueError if it was compiled for another batch."""
        session = NullSession(artifact)
        held = session.inputs[0].shape[0]
        if held != batch:
            raise ValueError(f"the artifact was compiled for batch {held}, asked for {batch}")
        return session


class NullSession(Session):
    """The reference evaluator on rounded weights."""

    def __init__(self, artifact: Path) -> None:
        from onnx.reference import ReferenceEvaluator

        from .format import unpack

        unpacked = unpack(artifact.read_bytes())
        self._precision = unpacked.precision
        misbehave(self._precision, "open")
        self._evaluator: Any = ReferenceEvaluator(unpacked.model)
        graph = unpacked.model.graph
        self.inputs = tuple(_spec(value) for value in graph.input)
        self.outputs = tuple(_spec(value) for value in graph.output)
        work = unpacked.weight_bits / 32 * self.inputs[0].shape[0]
        self.simulated_ns = _CALL_NS + round(_WEIGHT_NS * work)

    def _run(self, feed: Feed) -> dict[str, Array]:
        misbehave(self._precision, "run")
        values = self._evaluator.run(None, dict(feed))
        return {spec.name: np.asarray(v, spec.dtype) for spec, v in zip(self.outputs, values, strict=True)}

    def close(self) -> None:
        """Free the evaluator."""
        self._evaluator = None


def _spec(value: Any) -> TensorSpec:
    from onnx import helper

    tensor = value.type.tensor_type
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    return TensorSpec(name=value.name, dtype=dtype, shape=tuple(d.dim_value for d in tensor.shape.dim))


def misbehave(precision: Precision, stage: str) -> None:
    """Do what the script in the environment asks for at this precision and stage, if anything.

    Raises:
        UserError: the script cannot be understood.
    """
    script = _script()
    behaviour = script.get(f"{precision}/{stage}") or script.get(f"*/{stage}")
    if behaviour == "refuse":
        raise UnsupportedError(f"the script refuses {precision} at {stage}")
    if behaviour == "error":
        raise RuntimeError(f"the script fails {precision} at {stage}")
    if behaviour == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif behaviour == "abort":
        os.abort()
    elif behaviour == "hang":
        _hang()
    elif behaviour == "oom":
        _exhaust_memory()


def _script() -> dict[str, str]:
    text = os.environ.get(SCRIPT, "")
    if not text:
        return {}
    accepted = f'an object of "<precision or *>/<{"|".join(_STAGES)}>": "{"|".join(BEHAVIOURS)}"'
    try:
        script = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError("not JSON", place=SCRIPT, found=str(error), accepted=accepted) from error
    names = {f"{precision}/{stage}" for precision in (*Precision, "*") for stage in _STAGES}
    known = isinstance(script, dict) and all(
        name in names and behaviour in BEHAVIOURS for name, behaviour in script.items()
    )
    if not known:
        raise UserError("not a script", place=SCRIPT, found=text, accepted=accepted)
    return dict(script)


def _hang() -> NoReturn:
    while True:
        time.sleep(3600)


def _exhaust_memory() -> NoReturn:
    """Fill memory in steps of 64 MiB that are really touched, until MemoryError or the kernel's killer."""
    held = []
    while True:
        held.append(np.ones(8 * 1024 * 1024))
