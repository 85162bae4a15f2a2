"""TensorRT 8.5 to 11, and TensorRT-RTX: one backend that asks the installed module what it can do.

TensorRT builds on the device that runs the engine; TensorRT-RTX also builds for other devices, without a GPU.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.agreement import check_agreement, check_coverage
from ..contract.backend import (
    CALIBRATION_METHODS,
    Artifact,
    Availability,
    Backend,
    CalibrationData,
    CompileSettings,
    Session,
    SourceModel,
    artifact_path,
)
from ..registry import get_backend
from . import api as trt_api
from .build import BuildOptions, BuildPlan, build
from .graphs import QUANTIZED, edge_dtypes, graph_for, weight_bytes
from .nm_sparsity import check_nm_sparsity, sparsity_summary
from .plan_file import PlanHeader, write_plan
from .session import TrtSession, inspect_plan

if TYPE_CHECKING:
    import onnx

TIMING_CACHE_VARIABLE = "PARETUNE_TRT_TIMING_CACHE"
FIRST_SPARSE = 80  # compute capability 8.0 (Ampere) brought 2:4 kernels
_REACH = {
    Precision.FP16: "TensorRT keeps layers in fp32 for which it has no fp16 kernels",
    Precision.BF16: "TensorRT keeps layers in fp32 for which it has no bf16 kernels",
    Precision.INT8: "TensorRT has int8 kernels for convolutions and products with constant weights only",
    Precision.FP8: "TensorRT has fp8 kernels for convolutions and products with constant weights only",
}


@dataclass(frozen=True)
class TrtBackend(Backend):
    """The `trt` backend.

    `timing_cache` is a file of kernel timings shared between builds, which makes them faster and alike; by
    default the environment variable PARETUNE_TRT_TIMING_CACHE names it, and without that there is none.
    """

    name: ClassVar[str] = "trt"
    source_format: ClassVar[str] = "onnx"
    compiles_on_device: ClassVar[bool] = True
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS
    value_dependent: ClassVar[Mapping[str, str]] = {
        "2:4": "TensorRT looks for 2:4 zeros in the weights of each layer and picks sparse kernels by what "
        "it finds"
    }

    timing_cache: Path | None = None

    def availability(self) -> Availability:
        """Module and version; whether engines can run here. Never raises."""
        return trt_api.availability()

    def compile(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Artifact:
        """Build a plan into `into/model.plan` (see `trt_plan` for its layout).

        Raises:
            UnsupportedError: TensorRT is missing or cannot express the model, precision or target; no layer
                is 2:4 where `nm_sparsity` is asked for; onnxruntime is missing and the precision needs it.
            ValueError: calibration data is missing where the precision needs it, or the file to write is the
                source model.
            StageError: the builder failed, or the engine disagrees with the float model (checked on a GPU).
        """
        import onnx

        self._check(settings)
        path = artifact_path(model, into, "model.plan")
        source = onnx.load(model.path)
        weak = trt_api.weakly_typed()
        graph = graph_for(
            source, settings, calibration, weakly_typed=weak, newest_opset=trt_api.newest_opset()
        )
        notes = _sparsity(graph, settings)
        content = graph.SerializeToString(deterministic=True)
        plan = build(content, self._options(settings))
        write_plan(path, _header(source, content, settings), plan.data)
        stored, note = _stored(plan, graph, settings.precision, weak)
        notes += (*plan.notes, note)
        if _runs_here(settings.target):
            notes += (inspect_plan(plan.data).summary,) if plan.layers is None else ()
            notes += self._agreement(path, model, settings, calibration)
        return Artifact(
            path=path,
            backend=self.name,
            precision=settings.precision,
            size_bytes=path.stat().st_size,
            weight_bytes=stored,
            notes=notes,
            versions=_versions(),
        )

    def open(self, artifact: Path, batch: int, threads: int) -> Session:
        """Load a plan on the first GPU. `threads` has no meaning there.

        Raises:
            UnsupportedError: there is no GPU.
            ValueError: the plan was compiled for another batch.
            UserError: the file is no plan, or another TensorRT built it.
        """
        trt_api.load()
        return TrtSession(artifact, batch)

    def _check(self, settings: CompileSettings) -> None:
        """Refuse what can be refused before the model is read."""
        if settings.keep_float:
            raise UnsupportedError(
                "trt keeps no single layers in float, since it chooses the layers that it fuses itself; "
                f"asked to keep {', '.join(settings.keep_float)}"
            )
        trt_api.load()
        if refused := trt_api.refusal(settings.precision):
            raise UnsupportedError(refused)
        if settings.calibration_method not in self.calibration_methods:
            raise UnsupportedError(
                f"unknown calibration method {settings.calibration_method!r}, "
                f"trt has {', '.join(self.calibration_methods)}"
            )

    def _agreement(
        self, path: Path, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> tuple[str, ...]:
        """Compare the engine with the float model under ONNX Runtime, where that is installed."""
        reference = get_backend("ort")
        if not settings.check or not reference.availability().installed:
            return ()
        plain = CompileSettings(precision=Precision.FP32, batch=settings.batch, check=False)
        with tempfile.TemporaryDirectory() as folder:
            made = reference.compile(model, plain, None, Path(folder))
            with (
                reference.open(made.path, settings.batch, 1) as wanted,
                self.open(path, settings.batch, 1) as got,
            ):
                return check_agreement(wanted, got, settings.batch, calibration)

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
) -> tuple[dict[str, int], str]:
    """Bytes of weights by type, and where that is known from.

    Raises:
        UnsupportedError: most weights are known to have another type than the precision asks for.
    """
    known = True
    if plan.layers is not None and plan.layers.weight_bytes:
        stored, note = plan.layers.weight_bytes, f"{plan.layers.summary}; weight types are those it lists"
    else:
        stored = weight_bytes(graph)
        note = "weight types are those of the graph given to TensorRT"
        # A weakly typed graph carries the types only where it has pairs; else the builder picks by itself.
        known = not weak or precision in QUANTIZED
        note += (
            f", which picks {precision} layer by layer" if weak and precision is not Precision.FP32 else ""
        )
    if known:
        check_coverage(precision, stored, _REACH.get(precision, ""))
    return stored, note


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


def _versions() -> dict[str, str]:
    module = trt_api.load()
    versions = {module.__name__: str(module.__version__)}
    for package in ("onnx", "onnxruntime", "numpy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
