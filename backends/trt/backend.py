"""TensorRT 8.5 to 11, and TensorRT-RTX: one backend that asks the installed module what it can do.

TensorRT builds on the device that runs the engine; TensorRT-RTX also builds for other devices, without a GPU.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...profiles.errors import UnsupportedError
from ...profiles.packages import versions
from ...profiles.precision import Precision
from ..contract.backend import (
    CALIBRATION_METHODS,
    Availability,
    CalibrationData,
    CompileSettings,
    Session,
    SourceModel,
)
from ..contract.compiling import Compiler, Converted
from ..onnx_graph.session import RUNTIME, OrtSession
from . import api as trt_api
from .build import BuildOptions, BuildPlan, build
from .graphs import QUANTIZED, edge_dtypes, graph_for, weight_bytes
from .nm_sparsity import check_nm_sparsity, sparsity_summary
from .plan_file import PlanHeader, plan_content
from .session import TrtSession, inspect_plan

if TYPE_CHECKING:
    import onnx

TIMING_CACHE_VARIABLE = "PARETUNE_TRT_TIMING_CACHE"
FIRST_SPARSE = 80  # compute capability 8.0 (Ampere) brought 2:4 kernels


@dataclass(frozen=True)
class TrtBackend(Compiler):
    """The `trt` backend.

    `timing_cache` is a file of kernel timings shared between builds, which makes them faster and alike; by
    default the environment variable PARETUNE_TRT_TIMING_CACHE names it, and without that there is none.
    """

    name: ClassVar[str] = "trt"
    title: ClassVar[str] = "TensorRT"
    packages: ClassVar[tuple[str, ...]] = ("tensorrt", "tensorrt-rtx")
    tools: ClassVar[tuple[str, ...]] = ("onnx", RUNTIME, "numpy")
    install: ClassVar[str] = trt_api.INSTALL
    compiles_on_device: ClassVar[bool] = True
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS
    artifact_name: ClassVar[str] = "model.plan"
    reach: ClassVar[Mapping[Precision, str]] = {
        Precision.FP16: "TensorRT keeps layers in fp32 for which it has no fp16 kernels",
        Precision.BF16: "TensorRT keeps layers in fp32 for which it has no bf16 kernels",
        Precision.INT8: "TensorRT has int8 kernels for convolutions and products with constant weights only",
        Precision.FP8: "TensorRT has fp8 kernels for convolutions and products with constant weights only",
    }
    value_dependent: ClassVar[Mapping[str, str]] = {
        "2:4": "TensorRT looks for 2:4 zeros in the weights of each layer and picks sparse kernels by what "
        "it finds"
    }

    timing_cache: Path | None = None

    def availability(self) -> Availability:
        return trt_api.availability()

    def refusal(self, precision: Precision) -> str:
        trt_api.load()
        return trt_api.refusal(precision)

    def versions(self) -> dict[str, str]:
        """The module by its own name and version: it comes in distributions of many names."""
        module = trt_api.load()
        return {module.__name__: str(module.__version__), **versions(self.tools)}

    def convert(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> Converted:
        """A plan with its header (see `plan_file`).

        Raises:
            UnsupportedError: TensorRT cannot express the model, precision or target; no layer is 2:4 where
                `nm_sparsity` is asked for; onnxruntime is missing and the precision needs it.
            StageError: the builder failed.
        """
        import onnx

        from ..onnx_graph.stored import read_by

        if settings.keep_float:
            raise UnsupportedError(
                "trt keeps no single layers in float, since it chooses the layers that it fuses itself; "
                f"asked to keep {', '.join(settings.keep_float)}"
            )
        source = onnx.load(model.path)
        weak = trt_api.weakly_typed()
        graph = graph_for(
            source, settings, calibration, weakly_typed=weak, newest_opset=trt_api.newest_opset()
        )
        sparsity = _sparsity(graph, settings)
        content = graph.SerializeToString(deterministic=True)
        plan = build(content, self._options(settings))
        stored, known, note = _stored(plan, graph, settings.precision, weak)
        asked_here = plan.layers is None and _runs_here(settings.target)
        return Converted(
            content=plan_content(_header(source, content, settings), plan.data),
            weight_bytes=stored,
            covered=stored if known else None,
            read_by=read_by(graph),
            notes=(*sparsity, *plan.notes, note, *((inspect_plan(plan.data).summary,) if asked_here else ())),
        )

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        """The source under ONNX Runtime, where that is installed and the engine can run."""
        if not _runs_here(settings.target) or find_spec(RUNTIME) is None:
            return None
        from ..onnx_graph.inspect import with_batch

        return OrtSession(with_batch(model.path, settings.batch).SerializeToString(), 1)

    def open(self, artifact: Path, batch: int, threads: int) -> Session:
        """Load a plan on the first GPU. `threads` has no meaning there.

        Raises:
            UnsupportedError: there is no GPU.
            UserError: the file is no plan, or another TensorRT built it.
        """
        trt_api.load()
        return TrtSession(artifact, batch)

    def _options(self, settings: CompileSettings) -> BuildOptions:
        named = os.environ.get(TIMING_CACHE_VARIABLE, "")
        return BuildOptions(
            precision=settings.precision,
            batches=(1, settings.batch, settings.batch),
            nm_sparsity=settings.nm_sparsity,
            target=settings.target,
            timing_cache=self.timing_cache or (Path(named) if named else None),
        )


def _header(source: onnx.ModelProto, content: bytes, settings: CompileSettings) -> PlanHeader:
    inputs, outputs = edge_dtypes(source)
    module = trt_api.load()
    target = settings.target or trt_api.device_target() or "default"
    return PlanHeader(
        module=module.__name__,
        version=module.__version__,
        target=target,
        batch=settings.batch,
        graph=hashlib.sha256(content).hexdigest(),
        inputs=inputs,
        outputs=outputs,
    )


def _sparsity(graph: onnx.ModelProto, settings: CompileSettings) -> tuple[str, ...]:
    """What qualifies for 2:4 kernels; refuses what would change nothing."""
    if not settings.nm_sparsity:
        return ()
    device = settings.target or trt_api.device_target()
    if device and _capability(device) < FIRST_SPARSE:
        raise UnsupportedError(f"trt: 2:4 sparsity needs NVIDIA sm_80 or later; the device is {device}")
    if settings.precision is Precision.FP32:
        raise UnsupportedError("trt: TensorRT has no 2:4 kernels for fp32; use fp16 or int8")
    layers = check_nm_sparsity(graph)
    summary = sparsity_summary(layers)
    if not any(layer.qualifies for layer in layers):
        raise UnsupportedError(f"trt: 2:4 sparsity would change nothing: {summary}")
    return (summary,)


def _stored(
    plan: BuildPlan, graph: onnx.ModelProto, precision: Precision, weak: bool
) -> tuple[dict[str, int], bool, str]:
    """Bytes of weights by type, whether they are known to be of these types, and where from."""
    if plan.layers is not None and plan.layers.weight_bytes:
        return plan.layers.weight_bytes, True, f"{plan.layers.summary}; weight types are those it lists"
    # A weakly typed graph carries the types only where it has pairs; else the builder picks by itself.
    known = not weak or precision in QUANTIZED
    note = "weight types are those of the graph given to TensorRT"
    note += f", which picks {precision} layer by layer" if weak and precision is not Precision.FP32 else ""
    return weight_bytes(graph), known, note


def _capability(target: str) -> int:
    """Compute capability of a target as a number: 86 of "sm86"."""
    match = re.fullmatch(r"sm_?(\d+)", target.lower())
    if match is None:
        raise UnsupportedError(f"trt: {target!r} is no compute capability; write it as sm86")
    return int(match[1])


def _runs_here(target: str) -> bool:
    """Whether this machine can load what was built for `target`."""
    here = trt_api.device_target()
    return bool(here) and target.lower() in ("", here)
