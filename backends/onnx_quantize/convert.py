"""One ONNX model at one precision, and what is read back from the file that comes of it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import onnx

from ...profiles.errors import ParetuneError, StageError, UnsupportedError
from ...profiles.precision import Precision
from ..contract.backend import CalibrationData, CompileSettings, LayerGroup, SourceModel
from ..contract.compiling import Converted
from ..onnx_graph.inspect import weight_bytes, with_batch, with_own_batch
from ..onnx_graph.layers import MIXED, find_layers, kept_layers, layer_groups, nodes_to_keep
from ..onnx_graph.stored import layer_bytes, read_by, stored_as, zero_share
from . import quantize
from .weights import to_float16_weights, to_int8_weight

Changes = Mapping[Precision, Callable[[onnx.ModelProto, list[str]], onnx.ModelProto]]
"""How a precision is made of a prepared model, given the nodes that stay in float."""


def converted(
    model: SourceModel,
    settings: CompileSettings,
    calibration: CalibrationData | None,
    own: Changes = MappingProxyType({}),
) -> Converted:
    """The model with its batch fixed, at the precision: fp32, fp16, a quantized one, or as it was given.
    `own` are the precisions that the runtime at hand wants made otherwise.

    Raises:
        UnsupportedError: the precision has no mixed precision and one is asked for.
        StageError: the tools that this is done with cannot make it of this model.
    """
    proto = with_batch(model.path, settings.batch)
    if settings.precision is Precision.GIVEN:
        return Converted(
            content=proto.SerializeToString(deterministic=True),
            weight_bytes=weight_bytes(proto),
            covered=None,
        )
    with _others_explained(settings.precision):
        ready = quantize.prepared(proto)
    layers = find_layers(ready)
    kept = kept_layers(layers, _keepable(settings))
    keep = nodes_to_keep(ready, kept, settings.precision)
    with _others_explained(settings.precision):
        change = own.get(settings.precision)
        proto = change(ready, keep) if change else _at_precision(ready, settings, calibration, keep)
    stored = weight_bytes(proto)
    had, has = zero_share(ready, layers), zero_share(proto, layers)
    return Converted(
        content=proto.SerializeToString(deterministic=True),
        weight_bytes=stored,
        # In a small model that keeps a large layer, the biases would outweigh what is left.
        covered=layer_bytes(proto, layers) if kept else stored,
        read_by=read_by(proto),
        kept_weights=sum(layer.weights for layer in kept),
        sizes={layer.name: layer.weights for layer in layers},
        stored_as=stored_as(proto, layers),
        zeros={"the model": (had, has)} if had is not None and has is not None else {},
        zero_share=has,
    )


def groups(
    model: SourceModel, precision: Precision, operators: Collection[str] = ()
) -> tuple[LayerGroup, ...]:
    """Groups of layers that this precision changes; none at fp32 and fp16. See the contract. With
    `operators`, it changes weights of these alone.

    Raises:
        UnsupportedError: an axis beside the batch has no size.
    """
    if precision not in MIXED:
        return ()
    proto = quantize.prepared(with_own_batch(model.path))
    found = layer_groups(proto, precision)
    if not operators:
        return found
    others = {node.name for node in proto.graph.node if node.op_type not in operators}
    beyond = {layer.name for layer in find_layers(proto) if others & {*layer.nodes}}
    return tuple(group for group in found if not beyond & {*group.layers})


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
            f"the tools of onnxruntime cannot make {precision} of this model: {cause}",
            traceback.format_exc(),
        ) from error


def _keepable(settings: CompileSettings) -> tuple[str, ...]:
    """The layers to keep in float.

    Raises:
        UnsupportedError: the precision has no mixed precision here.
    """
    if settings.keep_float and settings.precision not in MIXED:
        raise UnsupportedError(
            f"single layers are kept in float at {', '.join(map(str, MIXED))}, not at {settings.precision}"
        )
    return settings.keep_float


def _at_precision(
    source: onnx.ModelProto,
    settings: CompileSettings,
    calibration: CalibrationData | None,
    keep: list[str],
) -> onnx.ModelProto:
    precision = settings.precision
    if precision is Precision.FP32:
        return source
    if precision is Precision.FP16:
        return to_float16_weights(source)
    if precision is Precision.INT8_DYNAMIC:
        return quantize.to_int8_dynamic(source, keep)
    if precision is Precision.INT8_WEIGHT:
        return to_int8_weight(source, keep)
    if precision is Precision.INT4_WEIGHT:
        return quantize.to_int4_weight(source, keep)
    assert calibration is not None
    return quantize.to_int8(
        source, calibration, settings.batch, settings.calibration_method, settings.per_channel, keep
    )
