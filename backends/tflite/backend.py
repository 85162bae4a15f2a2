"""LiteRT (TFLite) on the CPU through XNNPACK; also runs on an installed tflite-runtime.

The batch is fixed when the source model is exported. Compiling needs ai-edge-quantizer, running numpy and
the interpreter alone. Inputs and outputs keep the source model's dtypes at every precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...profiles.precision import Precision
from ..contract.backend import (
    CALIBRATION_METHODS,
    Array,
    Availability,
    CalibrationData,
    CompileSettings,
    Feed,
    LayerGroup,
    Session,
    SourceModel,
    all_outputs,
    batches,
)
from ..contract.compiling import Compiler, Converted, of_batch
from ..contract.given import GivenFile
from ..contract.options import USUAL, Options, RuntimeOption
from .session import INSTALL, INTERPRETERS, XNNPACK, TfliteSession, load_interpreter

if TYPE_CHECKING:
    from ...profiles.devices.schema import Profile

_REACH = "LiteRT applies it to fully connected layers, convolutions and embeddings with constant weights only"
_NONE = (Precision.BF16, Precision.FP8)


class TfliteBackend(Compiler):
    """LiteRT's interpreter with its default delegate, XNNPACK."""

    name: ClassVar[str] = "tflite"
    title: ClassVar[str] = "LiteRT (TFLite)"
    packages: ClassVar[tuple[str, ...]] = tuple(package for package, _ in INTERPRETERS)
    tools: ClassVar[tuple[str, ...]] = ("ai-edge-quantizer", "numpy")
    install: ClassVar[str] = INSTALL
    on_device: ClassVar[tuple[str, ...]] = packages[:1]
    source_format: ClassVar[str] = "tflite"
    source_title: ClassVar[str] = "TFLite"
    exporters: ClassVar[tuple[str, ...]] = ("torch", "litert-torch", "litert-converter")
    magic: ClassVar[tuple[int, bytes]] = (4, b"TFL3")
    as_given: ClassVar[bool] = True
    fixed_batch: ClassVar[bool] = True  # LiteRT cannot resize what XNNPACK has prepared
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS
    artifact_name: ClassVar[str] = "model.tflite"
    reach: ClassVar[Mapping[Precision, str]] = dict.fromkeys(Precision, _REACH)

    def availability(self) -> Availability:
        reasons = []
        for package, module in INTERPRETERS:
            try:
                load_interpreter(module)
                return Availability(installed=True, version=f"{version(package)} ({package})")
            except Exception as error:  # a broken installation raises anything
                reasons.append(f"{package}: {error}")
        return Availability(installed=False, reason="; ".join(reasons), install=self.install)

    def export(self, module: Any, feed: Feed, path: Path) -> dict[str, Array]:
        from .export import write_tflite

        write_tflite(module, feed, path)
        return self._runs(path, feed)

    def export_traced(self, module: Any, feed: Feed, path: Path) -> tuple[dict[str, Array], Any]:
        if type(self).export is not TfliteBackend.export:  # one of a derived backend's own
            return super().export_traced(module, feed, path)
        from .trace import write_tflite_traced

        trace = write_tflite_traced(module, feed, path)
        return self._runs(path, feed), trace

    def export_again(
        self, trace: Any, weights: Mapping[str, Any], feed: Feed, path: Path
    ) -> dict[str, Array]:
        from .trace import write_tflite_again

        write_tflite_again(trace, weights, feed, path)
        return self._runs(path, feed)

    def _runs(self, path: Path, feed: Feed) -> dict[str, Array]:
        """Conversion can succeed and give a file that cannot be loaded: loading it is part of converting."""
        with self.open(path, len(next(iter(feed.values()))), 1) as session:
            return session.run(feed)

    def given(self, path: Path) -> GivenFile:
        from .given import read_given

        return read_given(path)

    def as_source(self, path: Path, shapes: Mapping[str, Sequence[int]]) -> bytes:
        from .given import quantizable, with_shapes

        return quantizable(with_shapes(path.read_bytes(), shapes))

    def onnx_converter(self) -> Availability:
        from .from_onnx import converter

        return converter()

    def from_onnx(self, onnx: Path, data: CalibrationData, batch: int, path: Path) -> dict[str, Array]:
        from .from_onnx import write_onnx_as_tflite

        def run() -> dict[str, Array]:
            with self.open(path, batch, 1) as session:
                return all_outputs(session, data, batch)

        return write_onnx_as_tflite(onnx, next(batches(data, batch)), path, run)

    def refusal(self, precision: Precision) -> str:
        return f"LiteRT has no {precision} kernels on the CPU" if precision in _NONE else ""

    def convert(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> Converted:
        from .inspect import read_by, weight_bytes
        from .layers import check_names, kept_weights, sizes, stored_as, zero_share, zeros
        from .pack import compact
        from .quantize import quantized

        source = model.path.read_bytes()
        if settings.precision is Precision.GIVEN:
            self.open(model.path, settings.batch, 1).close()
            return Converted(content=source, weight_bytes=weight_bytes(source), covered=None)
        check_names(source, settings.precision, settings.keep_float)
        self.open(model.path, settings.batch, 1).close()
        content: bytes = source
        notes: tuple[str, ...] = ()
        if settings.precision is not Precision.FP32:
            content, notes = quantized(source, settings, calibration)
        packed = compact(content)
        return Converted(
            content=packed,
            weight_bytes=weight_bytes(packed),
            covered=weight_bytes(content),
            kept_weights=kept_weights(source, settings.keep_float),
            read_by=read_by(content),
            sizes=sizes(source),
            stored_as=stored_as(source, content),
            zeros=zeros(source, content),
            zero_share=zero_share(packed),
            notes=notes,
        )

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        return None if settings.precision is Precision.GIVEN else self.open(model.path, settings.batch, 1)

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        """Weights by the paths of their modules; those that share one weight are tied. See the contract."""
        from .layers import layer_groups

        return layer_groups(model.path.read_bytes(), precision)

    def options(self, profile: Profile, precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
        if precision is Precision.INT16X8:  # XNNPACK has no kernels for it: nothing would change
            return ()
        return (replace(XNNPACK, exact=precision in (Precision.FP32, Precision.FP16)),)

    def open(self, artifact: Path, batch: int, threads: int, options: Options = USUAL) -> Session:
        return of_batch(TfliteSession(artifact, threads, options), batch)
