"""ONNX Runtime on the CPU.

The batch is part of the artifact: `compile` fixes it, `open` takes no other. Compiling needs onnx and
onnxruntime, running numpy and onnxruntime alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...profiles.precision import Precision
from ..contract.backend import (
    CALIBRATION_METHODS,
    Availability,
    CalibrationData,
    CompileSettings,
    LayerGroup,
    Maker,
    Session,
    SourceModel,
)
from ..contract.compiling import Compiler, Converted, of_batch
from ..contract.options import USUAL, Options, RuntimeOption, chosen
from ..onnx_graph.session import OrtSession
from ..onnx_quantize import MAKER, SHARED
from .options import OPSET, offered
from .session import PlacedOrtSession

if TYPE_CHECKING:
    from ...profiles.devices.schema import Profile


class OrtBackend(Compiler):
    """ONNX Runtime's CPU execution provider."""

    name: ClassVar[str] = "ort"
    title: ClassVar[str] = "ONNX Runtime"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnxruntime-gpu")
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    recipes: ClassVar[Mapping[Precision, int]] = {Precision.FP16: 1, Precision.INT8_DYNAMIC: 1}
    install: ClassVar[str] = "pip install 'paretune[onnxruntime]'"
    on_device: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS
    as_given: ClassVar[bool] = True
    artifact_name: ClassVar[str] = "model.onnx"
    compile_options: ClassVar[tuple[RuntimeOption, ...]] = (OPSET,)
    reach: ClassVar[Mapping[Precision, str]] = {
        Precision.FP16: "weights beyond the largest number of 16 bits (65504) stay in 32",
        Precision.INT8: "ONNX Runtime has int8 kernels for matrix products, convolutions and embeddings with "
        "constant weights only",
        Precision.INT8_DYNAMIC: "ONNX Runtime has dynamic 8-bit kernels for matrix products, convolutions, "
        "LSTMs and embeddings with constant weights only",
        Precision.INT4_WEIGHT: "ONNX Runtime has 4-bit kernels for matrix products and embeddings with "
        "constant weights only",
    }

    def availability(self) -> Availability:
        try:
            runtime = import_module("onnxruntime")
        except Exception as error:  # a broken installation raises anything
            return Availability(installed=False, reason=f"onnxruntime: {error}", install=self.install)
        return Availability(installed=True, version=str(runtime.__version__))

    def refusal(self, precision: Precision) -> str:
        known = precision in (Precision.FP32, Precision.GIVEN) or precision in self.reach
        return "" if known else f"ONNX Runtime has no {precision} kernels on the CPU"

    def convert(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> Converted:
        from ..onnx_quantize.convert import converted

        wanted = chosen(settings.options, OPSET)[OPSET.name]
        if wanted == OPSET.default:
            return converted(model, settings, calibration)
        from .opset import at_opset, check_opset

        with at_opset(model, int(wanted)) as source:
            made = converted(source, settings, calibration)
        check_opset(made.content, int(wanted))
        return made

    def maker(self, precision: Precision) -> Maker | None:
        return MAKER if precision in SHARED else None

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session:
        from ..onnx_graph.inspect import with_batch

        return OrtSession(with_batch(model.path, settings.batch).SerializeToString(), 1)

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        from ..onnx_quantize.convert import groups

        return groups(model, precision)

    def options(self, profile: Profile, precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
        return offered(precision, threads)

    def open(self, artifact: Path, batch: int, threads: int, options: Options = USUAL) -> Session:
        return of_batch(PlacedOrtSession(artifact, threads, options), batch)
