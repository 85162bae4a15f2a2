"""The one notation for numeric precision, and its decoder.

`fp32 fp16 bf16 fp8` name the type of weights and activations. `int8` is static quantization: integer
weights and activations with ranges from calibration data. `int8-dynamic` has integer weights and ranges of
activations taken at run time. `int16x8` has 16-bit activations and 8-bit weights. `int8-weight` and
`int4-weight` have 8-bit and 4-bit weights and floating-point arithmetic. `as-given` is a model that was
handed in quantized already, as it is: no study asks for it, and it is offered for such models alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Precision(str, Enum):
    """A precision in the project's notation; the value is the text that users read and write."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT8_DYNAMIC = "int8-dynamic"
    INT16X8 = "int16x8"
    INT8_WEIGHT = "int8-weight"
    INT4_WEIGHT = "int4-weight"
    GIVEN = "as-given"

    def __str__(self) -> str:
        return self.value

    @property
    def decoded(self) -> PrecisionFormat:
        """What the notation means."""
        return _FORMATS[self]


@dataclass(frozen=True, kw_only=True)
class PrecisionFormat:
    """Decoded precision: bits of weights and activations, and whether calibration data is needed."""

    weight_bits: int
    activation_bits: int
    integer: bool
    calibrated: bool


_FORMATS = {
    Precision.FP32: PrecisionFormat(weight_bits=32, activation_bits=32, integer=False, calibrated=False),
    Precision.FP16: PrecisionFormat(weight_bits=16, activation_bits=16, integer=False, calibrated=False),
    Precision.BF16: PrecisionFormat(weight_bits=16, activation_bits=16, integer=False, calibrated=False),
    Precision.FP8: PrecisionFormat(weight_bits=8, activation_bits=8, integer=False, calibrated=True),
    Precision.INT8: PrecisionFormat(weight_bits=8, activation_bits=8, integer=True, calibrated=True),
    Precision.INT8_DYNAMIC: PrecisionFormat(weight_bits=8, activation_bits=8, integer=True, calibrated=False),
    Precision.INT16X8: PrecisionFormat(weight_bits=8, activation_bits=16, integer=True, calibrated=True),
    Precision.INT8_WEIGHT: PrecisionFormat(weight_bits=8, activation_bits=32, integer=True, calibrated=False),
    Precision.INT4_WEIGHT: PrecisionFormat(weight_bits=4, activation_bits=32, integer=True, calibrated=False),
    Precision.GIVEN: PrecisionFormat(weight_bits=32, activation_bits=32, integer=False, calibrated=False),
}
