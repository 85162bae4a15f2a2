"""The backend contract for LiteRT."""

import pytest
from contracts.backend_contract import BackendContract
from paretune.profiles.precision import Precision


@pytest.mark.slow
class TestTflite(BackendContract):
    name = "tflite"
    precisions = (
        Precision.FP32,
        Precision.FP16,
        Precision.INT8,
        Precision.INT8_DYNAMIC,
        Precision.INT16X8,
        Precision.INT4_WEIGHT,
    )
    refused = {
        (
            "transposed",
            Precision.INT4_WEIGHT,
        ): r"\d+ % of the weights, not those of TRANSPOSE_CONV: Li",
        **{("branch", p): "the operator cond cannot be exported to TFLite" for p in precisions},
    }
