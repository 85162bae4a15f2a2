"""LiteRT (TFLite) on the CPU through XNNPACK; also runs on an installed tflite-runtime.

The batch is fixed when the source model is exported. Compiling needs ai-edge-quantizer, running numpy and
the interpreter alone. Inputs and outputs keep the source model's dtypes at every precision.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

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
    LayerGroup,
    Session,
    SourceModel,
    artifact_path,
)
from .session import _INSTALL, _INTERPRETERS, TfliteSession, _load

_REACH = "LiteRT applies it to fully connected layers, convolutions and embeddings with constant weights only"


class TfliteBackend(Backend):
    """LiteRT's interpreter with its default delegate, XNNPACK."""

    name: ClassVar[str] = "tflite"
    source_format: ClassVar[str] = "tflite"
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS

    def availability(self) -> Availability:
        """Which interpreter can be imported, if any."""
        reasons = []
        for package, module in _INTERPRETERS:
            try:
                _load(module)
                return Availability(installed=True, version=f"{version(package)} ({package})")
            except Exception as error:  # a broken installation raises anything
                reasons.append(f"{package}: {error}")
        return Availability(installed=False, reason="; ".join(reasons), install=_INSTALL)

    def compile(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Artifact:
        """Write `into/model.tflite`; see the contract. ValueError if the source has another batch."""
        from .inspect import weight_bytes
        from .layers import check_zeros, coverage_note, stored_as, zero_share
        from .pack import compact

        source = model.path.read_bytes()
        content, notes = _quantized(source, settings, calibration)
        check_zeros(source, content)
        notes += (note,) if (note := coverage_note(source, content)) else ()
        layers = stored_as(source, content)
        content = compact(content)
        stored = weight_bytes(content)
        path = artifact_path(model, into, "model.tflite")
        path.write_bytes(content)
        with self.open(model.path, settings.batch, 1) as wanted:
            if settings.check:
                with self.open(path, settings.batch, 1) as got:
                    notes += check_agreement(wanted, got, settings.batch, calibration)
        return Artifact(
            path=path,
            backend=self.name,
            precision=settings.precision,
            size_bytes=path.stat().st_size,
            weight_bytes=stored,
            notes=notes,
            versions=_versions(),
            stored_as=layers,
            zero_share=zero_share(content),
        )

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        """Weights by the paths of their modules; those that share one weight are tied. See the contract."""
        from .layers import layer_groups

        return layer_groups(model.path.read_bytes(), precision)

    def open(self, artifact: Path, batch: int, threads: int) -> Session:
        """Load an artifact; ValueError if it was exported for another batch."""
        session = TfliteSession(artifact, threads)
        held = session.inputs[0].shape[0]
        if held != batch:
            session.close()
            raise ValueError(f"the model was exported for batch {held}, asked for {batch}")
        return session


def _quantized(
    source: bytes, settings: CompileSettings, calibration: CalibrationData | None
) -> tuple[bytes, tuple[str, ...]]:
    from .layers import check_names

    check_names(source, settings.precision, settings.keep_float)
    if settings.precision is Precision.FP32:
        return source, ()
    if settings.precision.decoded.calibrated:
        if not calibration:
            raise ValueError(f"{settings.precision} needs calibration data")
        if settings.calibration_method not in TfliteBackend.calibration_methods:
            raise UnsupportedError(
                f"unknown calibration method {settings.calibration_method!r}, "
                f"LiteRT has {', '.join(CALIBRATION_METHODS)}"
            )
    from .inspect import weight_bytes
    from .layers import kept_weights
    from .quantize import quantized

    content, notes = quantized(source, settings, calibration)
    kept = kept_weights(source, settings.keep_float)
    check_coverage(settings.precision, weight_bytes(content), _REACH, kept_weights=kept)
    return content, notes


def _versions() -> dict[str, str]:
    found = {}
    for package in ("ai-edge-litert", "tflite-runtime", "ai-edge-quantizer", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
