"""ONNX Runtime on the CPU.

The batch is part of the artifact: `compile` fixes it, `open` takes no other. Compiling needs onnx and
onnxruntime, running numpy and onnxruntime alone.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
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
    LayerGroup,
    Session,
    SourceModel,
    artifact_path,
)
from ..onnx_graph.session import OrtSession

if TYPE_CHECKING:
    from onnx import ModelProto

# Where each precision is applied, for models of which it would reach little.
_REACH = {
    Precision.FP16: "ONNX Runtime keeps operators that its fp16 converter does not know in fp32",
    Precision.INT8: "ONNX Runtime has int8 kernels for matrix products, convolutions and embeddings with "
    "constant weights only",
    Precision.INT8_DYNAMIC: "ONNX Runtime has dynamic 8-bit kernels for matrix products, convolutions, LSTMs "
    "and embeddings with constant weights only",
    Precision.INT4_WEIGHT: "ONNX Runtime has 4-bit kernels for matrix products and embeddings with constant "
    "weights only",
}


class OrtBackend(Backend):
    """ONNX Runtime's CPU execution provider."""

    name: ClassVar[str] = "ort"
    source_format: ClassVar[str] = "onnx"
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS

    def availability(self) -> Availability:
        """Whether onnxruntime can be imported."""
        install = "pip install 'paretune[onnxruntime]'"
        try:
            runtime = import_module("onnxruntime")
        except Exception as error:  # a broken installation raises anything
            return Availability(installed=False, reason=f"onnxruntime: {error}", install=install)
        return Availability(installed=True, version=str(runtime.__version__))

    def compile(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Artifact:
        """Write `into/model.onnx`; see the contract."""
        from ..onnx_graph.inspect import weight_bytes
        from ..onnx_graph.layers import find_layers, kept_layers, nodes_to_keep
        from ..onnx_graph.stored import check_zeros, coverage_note, layer_bytes, stored_as, zero_share
        from .quantize import prepared, with_batch

        plain = with_batch(model.path, settings.batch)
        ready = prepared(plain)
        layers = find_layers(ready)
        kept = kept_layers(layers, _keepable(settings))
        proto = _converted(ready, settings, calibration, nodes_to_keep(ready, kept, settings.precision))
        stored = weight_bytes(proto)
        # In a small model that keeps a large layer, the biases would outweigh what is left.
        covered = layer_bytes(proto, layers) if kept else stored
        reach, kept_weights = _REACH.get(settings.precision, ""), sum(layer.weights for layer in kept)
        check_coverage(settings.precision, covered, reach, kept_weights=kept_weights)
        zeros = zero_share(proto, layers)
        check_zeros(zero_share(ready, layers), zeros)
        path = artifact_path(model, into, "model.onnx")
        path.write_bytes(proto.SerializeToString(deterministic=True))
        notes: tuple[str, ...] = ()
        if settings.check:
            with OrtSession(plain.SerializeToString(), 1) as wanted, OrtSession(str(path), 1) as got:
                notes = check_agreement(wanted, got, settings.batch, calibration)
        carried = stored_as(proto, layers)
        return Artifact(
            path=path,
            backend=self.name,
            precision=settings.precision,
            size_bytes=path.stat().st_size,
            weight_bytes=stored,
            notes=tuple(filter(None, (*notes, coverage_note(carried, layers)))),
            versions=_versions(),
            stored_as=carried,
            zero_share=zeros,
        )

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        """Groups of layers that this precision changes; none at fp32 and fp16. See the contract.

        Raises:
            UnsupportedError: an axis beside the batch has no size.
        """
        from ..onnx_graph.layers import MIXED, layer_groups
        from .quantize import prepared, with_own_batch

        return layer_groups(prepared(with_own_batch(model.path)), precision) if precision in MIXED else ()

    def open(self, artifact: Path, batch: int, threads: int) -> Session:
        """Load an artifact; ValueError if it was compiled for another batch."""
        session = OrtSession(str(artifact), threads)
        held = session.inputs[0].shape[0]
        if held != batch:
            session.close()
            raise ValueError(f"the artifact was compiled for batch {held}, asked for {batch}")
        return session


def _keepable(settings: CompileSettings) -> tuple[str, ...]:
    """The layers to keep in float.

    Raises:
        UnsupportedError: the precision has no mixed precision here.
    """
    from ..onnx_graph.layers import MIXED

    if settings.keep_float and settings.precision not in MIXED:
        raise UnsupportedError(
            f"ort keeps single layers in float at {', '.join(map(str, MIXED))}, not at {settings.precision}"
        )
    return settings.keep_float


def _converted(
    source: ModelProto, settings: CompileSettings, calibration: CalibrationData | None, keep: list[str]
) -> ModelProto:
    from . import quantize as quantize

    precision = settings.precision
    if precision is Precision.FP32:
        return source
    if precision is Precision.FP16:
        return quantize.to_fp16(source)
    if precision is Precision.INT8_DYNAMIC:
        return quantize.to_int8_dynamic(source, keep)
    if precision is Precision.INT4_WEIGHT:
        return quantize.to_int4_weight(source, keep)
    if precision is not Precision.INT8:
        raise UnsupportedError(f"ONNX Runtime has no {precision} kernels on the CPU")
    if not calibration:
        raise ValueError(f"{precision} needs calibration data")
    if settings.calibration_method not in CALIBRATION_METHODS:
        raise UnsupportedError(
            f"unknown calibration method {settings.calibration_method!r}, "
            f"ONNX Runtime has {', '.join(CALIBRATION_METHODS)}"
        )
    return quantize.to_int8(
        source, calibration, settings.batch, settings.calibration_method, settings.per_channel, keep
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in ("onnxruntime", "onnx", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # another distribution of the same module, onnxruntime-gpu say
            found[package] = str(import_module(package).__version__)
    return found
