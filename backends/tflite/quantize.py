"""TFLite to TFLite: each precision as the recipe of ai-edge-quantizer that is both right and fast.

Never emitted, because LiteRT runs them and gives garbage: 8-bit dynamic weights with one scale per tensor on
depthwise convolutions, 2-bit weights on convolutions, 4-bit embeddings of odd width. Depthwise convolutions
are never dynamic: XNNPACK has no such kernel, and the builtin one is four times slower than float. Needs
numpy and ai-edge-quantizer, no PyTorch.
"""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.backend import CalibrationData, CompileSettings, batches
from .biases import as_vectors, wider_weights
from .given import signed
from .inspect import operators, weights
from .layers import keep_rules
from .pack import with_ends_of
from .paddings import finite_paddings
from .pointwise import pointwise_as_products
from .ranges import activation_ranges

Recipe = list[dict[str, Any]]

# Operators for which XNNPACK has int8 kernels. Any other one, once quantized, falls back to a slow builtin
# kernel (a Transformer quantized whole is three times slower than with its matrix products alone).
_INT8_OPERATORS = frozenset(
    (
        "ADD",
        "AVERAGE_POOL_2D",
        "CAST",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "LOGISTIC",
        "MAX_POOL_2D",
        "MEAN",
        "MUL",
        "PAD",
        "PADV2",
        "RELU",
        "RELU6",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "SLICE",
        "SPLIT",
        "STRIDED_SLICE",
        "SUB",
        "TANH",
        "TRANSPOSE",
        "TRANSPOSE_CONV",
    )
)
_PRODUCTS = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D_TRANSPOSE")
# Static rules pass over embeddings without a word.
_EMBEDDING: tuple[str, str, dict[str, Any]] = ("dynamic", "EMBEDDING_LOOKUP", {"num_bits": 8})
# Stored in 8 bits and expanded to float when the model is loaded.
_DEPTHWISE: tuple[str, str, dict[str, Any]] = ("weight_only", "DEPTHWISE_CONV_2D", {"num_bits": 8})
# What LiteRT has no 4-bit form for.
_NOT_INT4: tuple[tuple[str, str, dict[str, Any]], ...] = (
    _DEPTHWISE,
    ("dynamic", "CONV_2D_TRANSPOSE", {"num_bits": 8}),
    ("dynamic", "BATCH_MATMUL", {"num_bits": 8}),
)
_INT4_NOTE = "activations of 4-bit layers are rounded to 8 bits as they run: the form XNNPACK has kernels for"
_DEPTHWISE_NOTE = (
    "depthwise convolutions are stored in 8 bits and computed in float: no dynamic kernel on XNNPACK"
)
_INT16_NOTE = "16-bit activations run on builtin kernels: XNNPACK has none"


def quantized(
    content: bytes, settings: CompileSettings, calibration: CalibrationData | None
) -> tuple[bytes, tuple[str, ...]]:
    """The model at the wanted precision with float inputs and outputs, and notes worth showing.

    `calibration` is read only where the precision is calibrated. Ranges never come from the quantizer's own
    default, a moving average that clips at random. Layers of `settings.keep_float` stay float.

    Raises:
        UnsupportedError: LiteRT has no such precision.
    """
    if settings.precision is Precision.INT4_WEIGHT:
        content = pointwise_as_products(content)
    content = signed(as_vectors(content))
    if calibration is not None and settings.precision.decoded.calibrated:
        content = finite_paddings(content, list(batches(calibration, settings.batch)))
    recipe, notes = _recipe(content, settings)
    rules = [*recipe, *_FLOAT_IO, *keep_rules(content, settings.keep_float)]
    return with_ends_of(_apply(content, rules, calibration, settings), content), notes


_FLOAT_IO: Recipe = [
    {"regex": ".*", "operation": end, "algorithm_key": "no_quantize", "op_config": {}}
    for end in ("INPUT", "OUTPUT")
]


def _recipe(content: bytes, settings: CompileSettings) -> tuple[Recipe, tuple[str, ...]]:
    precision, found = settings.precision, operators(content)
    depthwise = (_DEPTHWISE_NOTE,) if "DEPTHWISE_CONV_2D" in found else ()
    if precision is Precision.FP16:
        return _rules(
            ("weight_only", "ALL_SUPPORTED", {"num_bits": 16, "algorithm_key": "float_casting"})
        ), ()
    if precision is Precision.INT8:
        return _static_int8(found, settings.per_channel)
    if precision is Precision.INT16X8:
        config = _static(16, settings.per_channel)
        return _rules(("static", "ALL_SUPPORTED", config), _EMBEDDING), (_INT16_NOTE,)
    if precision is Precision.INT8_DYNAMIC:
        return _rules(("dynamic", "ALL_SUPPORTED", {"num_bits": 8}), _DEPTHWISE), depthwise
    if precision is Precision.INT4_WEIGHT:
        odd = (_EMBEDDING,) if _has_odd_embedding(content) else ()
        rules = _rules(("dynamic", "ALL_SUPPORTED", {"num_bits": 4}), *_NOT_INT4, *odd)
        return rules, (_INT4_NOTE, *depthwise)
    raise UnsupportedError(f"LiteRT has no {precision} kernels on the CPU")


def _has_odd_embedding(content: bytes) -> bool:
    """The kernel looks for rows at whole bytes, the quantizer packs them without a gap: garbage."""
    found = (weight for weight in weights(content) if weight.operator == "EMBEDDING_LOOKUP")
    return any(weight.shape[-1] % 2 for weight in found)


def _static_int8(found: set[str], per_channel: bool) -> tuple[Recipe, tuple[str, ...]]:
    """Everything in int8 where all of it stays on XNNPACK, else the products, with embeddings dynamic."""
    config = _static(8, per_channel)
    outside = sorted(found - _INT8_OPERATORS)
    if not outside:
        return _rules(("static", "ALL_SUPPORTED", config)), ()
    rules = [("static", product, config) for product in _PRODUCTS]
    note = f"only matrix products and convolutions are int8: no fast int8 kernels for {', '.join(outside)}"
    return _rules(*rules, _EMBEDDING), (note,)


def _static(activation_bits: int, per_channel: bool) -> dict[str, Any]:
    from ai_edge_quantizer import qtyping

    kind = qtyping.QuantGranularity
    return {
        "activation_num_bits": activation_bits,
        "weight_num_bits": 8,
        "weight_granularity": kind.CHANNELWISE if per_channel else kind.TENSORWISE,
    }


def _rules(*rules: tuple[str, str, dict[str, Any]]) -> Recipe:
    """A recipe of (static, dynamic or weight_only; operator; settings); later rules win."""
    from ai_edge_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    for kind, operator, settings in rules:
        name = qtyping.TFLOperationName[operator]
        getattr(manager, f"add_{kind}_config")(regex=".*", operation_name=name, **settings)
    recipe: Recipe = manager.get_quantization_recipe()
    return recipe


def _apply(
    content: bytes, recipe: Recipe, calibration: CalibrationData | None, settings: CompileSettings
) -> bytes:
    from ai_edge_quantizer import quantizer

    with redirect_stderr(StringIO()):  # progress bars
        tool = quantizer.Quantizer(bytearray(content), recipe)
        if not tool.need_calibration:
            return bytes(tool.quantize(None, enable_progress_report=False).quantized_model)
        if calibration is None:
            raise ValueError("this precision needs calibration data")
        feeds = list(batches(calibration, settings.batch))
        ranges = activation_ranges(content, recipe, feeds, settings.calibration_method)
        made = bytes(tool.quantize(ranges, enable_progress_report=False).quantized_model)
        wider = wider_weights(content, made)
        if not wider:
            return made
        tool = quantizer.Quantizer(bytearray(content), recipe)
        return bytes(tool.quantize({**ranges, **wider}, enable_progress_report=False).quantized_model)
