"""ONNX Runtime on the CPU.

The batch is part of the artifact: `compile` fixes it, `open` takes no other. Compiling needs onnx and
onnxruntime, running numpy and onnxruntime alone.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ...profiles.errors import ParetuneError, StageError, UnsupportedError
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
from ..contract.compiling import Compiler, Converted, of_batch
from ..onnx_graph.session import OrtSession

if TYPE_CHECKING:
    from onnx import ModelProto


class OrtBackend(Compiler):
    """ONNX Runtime's CPU execution provider."""

    name: ClassVar[str] = "ort"
    title: ClassVar[str] = "ONNX Runtime"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "onnxruntime-gpu")
    tools: ClassVar[tuple[str, ...]] = ("onnx", "numpy")
    install: ClassVar[str] = "pip install 'paretune[onnxruntime]'"
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS
    as_given: ClassVar[bool] = True
    artifact_name: ClassVar[str] = "model.onnx"
    reach: ClassVar[Mapping[Precision, str]] = {
        Precision.FP16: "ONNX Runtime keeps operators that its fp16 converter does not know in fp32",
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
        from ..onnx_graph.inspect import weight_bytes, with_batch
        from ..onnx_graph.layers import find_layers, kept_layers, nodes_to_keep
        from ..onnx_graph.stored import layer_bytes, stored_as, zero_share
        from .quantize import prepared

        proto = with_batch(model.path, settings.batch)
        if settings.precision is Precision.GIVEN:
            return Converted(
                content=proto.SerializeToString(deterministic=True),
                weight_bytes=weight_bytes(proto),
                covered=None,
            )
        with _others_explained(settings.precision):
            ready = prepared(proto)
        layers = find_layers(ready)
        kept = kept_layers(layers, _keepable(settings))
        keep = nodes_to_keep(ready, kept, settings.precision)
        with _others_explained(settings.precision):
            proto = _converted(ready, settings, calibration, keep)
        stored = weight_bytes(proto)
        had, has = zero_share(ready, layers), zero_share(proto, layers)
        return Converted(
            content=proto.SerializeToString(deterministic=True),
            weight_bytes=stored,
            # In a small model that keeps a large layer, the biases would outweigh what is left.
            covered=layer_bytes(proto, layers) if kept else stored,
            kept_weights=sum(layer.weights for layer in kept),
            sizes={layer.name: layer.weights for layer in layers},
            stored_as=stored_as(proto, layers),
            zeros={"the model": (had, has)} if had is not None and has is not None else {},
            zero_share=has,
        )

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session:
        from ..onnx_graph.inspect import with_batch

        return OrtSession(with_batch(model.path, settings.batch).SerializeToString(), 1)

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        """Groups of layers that this precision changes; none at fp32 and fp16. See the contract.

        Raises:
            UnsupportedError: an axis beside the batch has no size.
        """
        from ..onnx_graph.inspect import with_own_batch
        from ..onnx_graph.layers import MIXED, layer_groups
        from .quantize import prepared

        return layer_groups(prepared(with_own_batch(model.path)), precision) if precision in MIXED else ()

    def open(self, artifact: Path, batch: int, threads: int) -> Session:
        return of_batch(OrtSession(str(artifact), threads), batch)


@contextmanager
def _others_explained(precision: Precision) -> Iterator[None]:
    """What the tools of onnx and onnxruntime raise, said to be theirs and about this precision of the model.

    Raises:
        StageError: one of them raised.
    """
    try:
        yield
    except ParetuneError:
        raise
    except Exception as error:  # they raise anything
        cause = f"{type(error).__name__}: {next(filter(None, str(error).splitlines()), '')[:300]}"
        raise StageError(
            "compile",
            f"ONNX Runtime's tools cannot make {precision} of this model: {cause}",
            traceback.format_exc(),
        ) from error


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
    from ..onnx_graph.inspect import to_float16
    from . import quantize

    precision = settings.precision
    if precision is Precision.FP32:
        return source
    if precision is Precision.FP16:
        return to_float16(source)
    if precision is Precision.INT8_DYNAMIC:
        return quantize.to_int8_dynamic(source, keep)
    if precision is Precision.INT4_WEIGHT:
        return quantize.to_int4_weight(source, keep)
    assert calibration is not None
    return quantize.to_int8(
        source, calibration, settings.batch, settings.calibration_method, settings.per_channel, keep
    )
