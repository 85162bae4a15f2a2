"""The backend contract for ONNX Runtime."""

from contracts.backend_contract import BackendContract
from paretune.profiles.precision import Precision

_CONVOLUTIONS = r"int4-weight would reach \d+ % of the weights: ONNX Runtime has 4-bit kernels for matrix"


class TestOrt(BackendContract):
    name = "ort"
    precisions = (
        Precision.FP32,
        Precision.FP16,
        Precision.INT8,
        Precision.INT8_DYNAMIC,
        Precision.INT4_WEIGHT,
    )
    refused = {
        ("cnn", Precision.INT4_WEIGHT): _CONVOLUTIONS,
        ("residual", Precision.INT4_WEIGHT): _CONVOLUTIONS,
    }
