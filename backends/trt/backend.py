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
    LayerGroup,
    Session,
    SourceModel,
)
from ..contract.compiling import Compiler, Converted
from ..contract.options import USUAL, Options, RuntimeOption, chosen
from ..onnx_graph.session import RUNTIME, OrtSession
from . import api as trt_api
from .build import BuildOptions, BuildPlan, build
from .compiled import Built, compiled, simulated
from .graphs import QUANTIZED, blueprint_for, edge_dtypes, groups
from .nm_sparsity import check_nm_sparsity, sparsity_summary
from .plan_file import PlanHeader, plan_content
from .session import TrtSession, inspect_plan

if TYPE_CHECKING:
    import onnx

    from ...profiles.devices.schema import Profile

TIMING_CACHE_VARIABLE = "PARETUNE_TRT_TIMING_CACHE"
LEVEL = RuntimeOption(
    name="optimization_level",
    values=("1", "3", "5"),
    default="3",
    does="how hard TensorRT's builder looks for quick kernels",
    when="compile",
    exact=False,
)
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
    # It compiles where it runs. TensorRT itself comes with the system of such a board.
    on_device: ClassVar[tuple[str, ...]] = ("onnx", RUNTIME)
    compiles_on_device: ClassVar[bool] = True
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS
    artifact_name: ClassVar[str] = "model.plan"
    compile_options: ClassVar[tuple[RuntimeOption, ...]] = (LEVEL,)
    reach: ClassVar[Mapping[Precision, str]] = {
        Precision.FP16: "TensorRT keeps layers in fp32 for which it has no fp16 kernels",
        Precision.BF16: "TensorRT keeps layers in fp32 for which it has no bf16 kernels",
        Precision.INT8: "TensorRT has int8 kernels for convolutions and products with constant weights only",
        Precision.FP8: "TensorRT has fp8 kernels for convolutions and products with constant weights only",
        Precision.INT4_WEIGHT: "TensorRT has 4-bit weights for matrix products with constant weights only, "
        "in whole blocks of 8 to 32 inputs",
    }
    # Layers without a kernel at these precisions are built in float.
    recipes: ClassVar[Mapping[Precision, int]] = {Precision.INT8: 1, Precision.FP8: 1}
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

        source = onnx.load(model.path)
        weak, newest = trt_api.weakly_typed(), trt_api.newest_opset()
        blueprint = blueprint_for(source, settings, calibration, weakly_typed=weak, newest_opset=newest)

        def built(graph: onnx.ModelProto) -> BuildPlan:
            _sparsity(graph, settings)  # refuses before anything is built
            return build(graph.SerializeToString(deterministic=True), self._options(settings))

        made = compiled(blueprint, settings.keep_float, built)
        sparsity = _sparsity(made.graph, settings)
        content = made.graph.SerializeToString(deterministic=True)
        return Converted(
            content=plan_content(_header(source, content, settings), made.plan.data),
            weight_bytes=made.weight_bytes,
            covered=made.covered,
            kept_weights=sum(layer.weights for layer in made.kept),
            read_by=made.read_by,
            sizes={layer.name: layer.weights for layer in blueprint.layers},
            stored_as=made.stored_as,
            notes=(*sparsity, *made.plan.notes, *made.notes, *_asked(made, model, settings, calibration)),
        )

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        """Groups of layers that this precision changes; none at fp32, fp16 and bf16. See the contract."""
        import onnx

        return groups(onnx.load(model.path), precision) if precision in QUANTIZED else ()

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        """The source under ONNX Runtime, where that is installed and the engine can run."""
        return self.float_session(model, settings) if _runs_here(settings.target) else None

    def float_session(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        if find_spec(RUNTIME) is None:
            return None
        from ..onnx_graph.inspect import with_batch

        return OrtSession(with_batch(model.path, settings.batch).SerializeToString(), 1)

    def options(self, profile: Profile, precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
        """The builder's level, wherever it is built: where TensorRT is older than that, it refuses it."""
        return self.compile_options

    def open(self, artifact: Path, batch: int, threads: int, options: Options = USUAL) -> Session:
        """Load a plan on the first GPU. `threads` has no meaning there.

        Raises:
            UnsupportedError: there is no GPU.
            UserError: the file is no plan, or another TensorRT built it.
        """
        chosen(options)
        trt_api.load()
        return TrtSession(artifact, batch)

    def _options(self, settings: CompileSettings) -> BuildOptions:
        named = os.environ.get(TIMING_CACHE_VARIABLE, "")
        return BuildOptions(
            precision=settings.precision,
            batches=(1, settings.batch, settings.batch),
            nm_sparsity=settings.nm_sparsity,
            target=settings.target,
            level=int(settings.options[LEVEL.name]) if LEVEL.name in settings.options else None,
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
    if settings.precision in (Precision.FP32, Precision.INT4_WEIGHT):
        raise UnsupportedError(f"trt: TensorRT has no 2:4 kernels for {settings.precision}; use fp16 or int8")
    layers = check_nm_sparsity(graph)
    summary = sparsity_summary(layers)
    if not any(layer.qualifies for layer in layers):
        raise UnsupportedError(f"trt: 2:4 sparsity would change nothing: {summary}")
    return (summary,)


def _asked(
    made: Built, model: SourceModel, settings: CompileSettings, samples: CalibrationData | None
) -> tuple[str, ...]:
    """What the engine's inspector says where the engine can run; elsewhere how its graph agrees."""
    if _runs_here(settings.target):
        return () if made.plan.layers is not None else (inspect_plan(made.plan.data).summary,)
    return simulated(made.graph, model, settings, samples) if settings.check else ()


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
