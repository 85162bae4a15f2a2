"""Runs a TensorRT engine: named tensors, one stream, copies to and from the device included.

What is measured around `run` is host time from end to end: copy in, compute, copy out, wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...profiles.errors import UnsupportedError, UserError
from ..contract.backend import Array, Feed, Session, TensorSpec
from ..contract.placement import ModelPlacement
from .api import trt
from .build import BuildLog, logger_for
from .device_memory import DeviceMemory, open_memory
from .engine_layers import LayerList, read_inspector
from .placement import read_placement
from .plan_file import PlanHeader, read_plan

T = TypeVar("T")

# TensorRT's names to numpy's; types without a numpy type never reach the edge of a graph that we build.
_DTYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "INT64": "int64",
    "BOOL": "bool", "UINT8": "uint8",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Memory of one input or output: its spec as callers see it, and where it lies."""

    spec: TensorSpec
    address: int
    pinned: Array  # of the engine's dtype and of `spec.shape`


class TrtSession(Session):
    """A deserialized engine with its context and buffers for one batch size."""

    def __init__(self, artifact: Path, batch: int) -> None:
        header, plan = read_plan(artifact)
        check_origin(header, artifact)
        if header.batch != batch:
            raise ValueError(f"the artifact was compiled for batch {header.batch}, asked for {batch}")
        self._log = BuildLog()
        self._logger = logger_for(self._log)
        self._memory: DeviceMemory | None = open_memory()
        try:
            self._load(plan, header, batch)
        except BaseException:
            self.close()
            raise

    def _load(self, plan: bytes, header: PlanHeader, batch: int) -> None:
        # The runtime must outlive its engine.
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._checked(self._runtime.deserialize_cuda_engine(plan), "deserialize the engine")
        self._context = self._checked(self._engine.create_execution_context(), "create a context")
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        inputs = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        for name in inputs:
            self._set_batch(name, batch)
        # Output shapes are known once every input has its shape.
        self._inputs = [self._slot(name, header.inputs) for name in inputs]
        self._outputs = [self._slot(name, header.outputs) for name in names if name not in inputs]
        self.inputs = tuple(slot.spec for slot in self._inputs)
        self.outputs = tuple(slot.spec for slot in self._outputs)

    def _set_batch(self, name: str, batch: int) -> None:
        shape = tuple(self._engine.get_tensor_shape(name))
        free = bool(shape) and shape[0] == -1
        if free and not self._context.set_input_shape(name, (batch, *shape[1:])):
            raise RuntimeError(f"TensorRT refused batch {batch} for {name!r}: {self._reason()}")

    def _slot(self, name: str, source_dtypes: Mapping[str, str]) -> Slot:
        assert self._memory is not None
        shape = tuple(int(size) for size in self._context.get_tensor_shape(name))
        if min(shape, default=0) < 0:
            raise UnsupportedError(f"trt: the size of {name!r} depends on the data: {list(shape)}")
        dtype = _DTYPES[self._engine.get_tensor_dtype(name).name]
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        address = self._memory.device_bytes(size)
        if not self._context.set_tensor_address(name, address):
            raise RuntimeError(f"TensorRT refused an address for {name!r}: {self._reason()}")
        pinned = self._memory.host_bytes(size).view(dtype).reshape(shape)
        spec = TensorSpec(name=name, dtype=source_dtypes.get(name, dtype), shape=shape)
        return Slot(spec=spec, address=address, pinned=pinned)

    def _run(self, feed: Feed) -> dict[str, Array]:
        memory = self._memory
        if memory is None:
            raise ValueError("the session is closed")
        for slot in self._inputs:
            np.copyto(slot.pinned, feed[slot.spec.name], casting="same_kind")
            memory.to_device(slot.address, slot.pinned)
        if not self._context.execute_async_v3(memory.stream):
            raise RuntimeError(f"TensorRT could not run the engine: {self._reason()}")
        for slot in self._outputs:
            memory.to_host(slot.pinned, slot.address)
        memory.synchronize()
        # Copies: the pinned memory is overwritten by the next run.
        return {slot.spec.name: slot.pinned.astype(slot.spec.dtype, copy=True) for slot in self._outputs}

    def placement(self, feed: Feed) -> ModelPlacement | None:
        return read_placement(engine_information(self._engine))

    def close(self) -> None:
        self._inputs, self._outputs = [], []
        # TensorRT objects go before the memory and the context that they use.
        for name in ("_context", "_engine", "_runtime"):
            self.__dict__.pop(name, None)
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _checked(self, made: T | None, purpose: str) -> T:
        if made is None:
            raise RuntimeError(f"TensorRT could not {purpose}: {self._reason()}")
        return made

    def _reason(self) -> str:
        return "; ".join(self._log.errors) or "no reason given"


def check_origin(header: PlanHeader, artifact: Path) -> None:
    """Plans run only on the version that built them.

    Raises:
        UserError: another TensorRT is installed.
    """
    here = f"{trt.__name__} {trt.__version__}"
    if here != f"{header.module} {header.version}":
        raise UserError(
            "the plan was built by another TensorRT",
            place=str(artifact),
            found=f"{header.module} {header.version}",
            accepted=here,
            remedy="compile the model again with the TensorRT that is installed here",
        )


def inspect_plan(plan: bytes) -> LayerList:
    """What the engine inspector says of a plan. Needs a GPU.

    Raises:
        RuntimeError: TensorRT cannot load the plan.
    """
    log = BuildLog()
    logger = logger_for(log)
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise RuntimeError(f"TensorRT could not load its own plan: {'; '.join(log.errors)}")
    return read_inspector(engine_information(engine))


def engine_information(engine: trt.ICudaEngine) -> str:
    """What the inspector says of an engine, as JSON."""
    return str(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
