"""One model to one library, and the search for its schedules: the parts of this room in their order."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.backend import CompileSettings, SourceModel
from ..contract.tuning import Tuning
from ..onnx_graph.inspect import to_float16, with_batch
from . import network
from .build import library, lowered
from .library_file import LibraryManifest, packed
from .processor import Processor, llvm_target, of_target
from .schedules import applied, ready
from .tuning import Allowance, search

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, kw_only=True)
class Made:
    """The file's content, and what was read back from its constants."""

    content: bytes
    weight_bytes: Mapping[str, int]
    zero_share: float | None
    notes: tuple[str, ...]


def compiled(tvm: Any, model: SourceModel, settings: CompileSettings, processor: Processor) -> Made:
    """The model as a library for a processor, with the schedules of `model.tuned`."""
    config = llvm_target(processor)
    target = tvm.target.Target(config)
    proto, module = _module(model, settings, target)
    notes = [f"machine code for {config['mcpu']} ({processor.architecture})"]
    if model.tuned:
        module, found, functions = applied(ready(module, target), target, model.tuned)
        notes.append(f"{found} of {functions} functions have a schedule that tuning found")
    held = network.constants(module)
    manifest = LibraryManifest(
        inputs=network.inputs_of(proto.graph),
        outputs=network.outputs_of(proto.graph, module),
        batch=settings.batch,
        processor=processor,
        core=config["mcpu"],
        tuned=model.tuned is not None,
    )
    return Made(
        content=packed(library(lowered(module, target), processor.architecture), manifest),
        weight_bytes=network.stored_bytes(held),
        zero_share=network.zero_share(held),
        notes=tuple(notes),
    )


def tuned(
    tvm: Any,
    model: SourceModel,
    settings: CompileSettings,
    tuning: Tuning,
    known: Sequence[Path],
    into: Path,
) -> dict[str, Any]:
    """Search schedules of the model's functions into a folder; see `Backend.tune`."""
    # The processes that measure take it over; parallel loops are cut for so many.
    os.environ.update({"TVM_NUM_THREADS": str(tuning.threads), "TVM_BIND_THREADS": "0"})
    budget = Allowance(trials=tuning.trials, until=time.monotonic() + tuning.seconds)
    processor = of_target(settings.target)
    target = tvm.target.Target(llvm_target(processor, tuning.threads))
    _, module = _module(model, settings, target)
    return search(ready(module, target), target, processor.architecture, budget, known, into)


def _module(model: SourceModel, settings: CompileSettings, target: Any) -> tuple[ModelProto, Any]:
    """The model as ONNX at its batch, and as functions in loops."""
    proto = with_batch(model.path, settings.batch)
    return proto, network.fused(network.imported(_at(proto, settings.precision)), target)


def _at(proto: ModelProto, precision: Precision) -> ModelProto:
    if precision is Precision.FP32:
        return proto
    try:
        return to_float16(proto)
    except ImportError as error:
        raise UnsupportedError(f"tvm: fp16 needs the converter of onnxruntime: {error}") from error
