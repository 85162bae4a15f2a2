"""The backend contract for ONNX Runtime."""

import pytest
from contracts.backend_contract import BackendContract
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.slow

_LEFT = r" would reach \d+ % of the weights, not those of {}: ONNX Runtime has [\w -]+ kernels for matrix"


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
        **{
            (name, Precision.INT4_WEIGHT): "int4-weight" + _LEFT.format("Conv")
            for name in ("cnn", "residual", "two-outputs")
        },
        ("transposed", Precision.INT8_DYNAMIC): "int8-dynamic" + _LEFT.format("ConvTranspose"),
        ("recurrent", Precision.INT8): "int8" + _LEFT.format("LSTM, GRU"),
        ("recurrent", Precision.INT4_WEIGHT): "int4-weight" + _LEFT.format("LSTM, GRU"),
        **{
            ("branch", precision): str(precision) + _LEFT.format("If")
            for precision in (Precision.INT8, Precision.INT8_DYNAMIC, Precision.INT4_WEIGHT)
        },
    }
