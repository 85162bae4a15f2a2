"""The backend contract for OpenVINO, at the precisions that it offers on this machine."""

import pytest
from contracts.backend_contract import BackendContract
from paretune.backends.registry import offered_precisions
from paretune.profiles.devices.host import probe_host
from paretune.profiles.precision import Precision

_LEFT = r" would reach \d+ % of the weights, not those of {}: "
_QUANTIZED = (Precision.INT8, Precision.INT8_DYNAMIC, Precision.INT4_WEIGHT)
_REFUSED = {
    **{
        (name, precision): str(precision) + _LEFT.format("Conv")
        for name in ("cnn", "residual", "two-outputs")
        for precision in (Precision.INT8_DYNAMIC, Precision.INT4_WEIGHT)
    },
    ("transposed", Precision.BF16): r"bf16: OpenVINO computes \d+ % .* not those of ConvolutionBackpropData",
    ("transposed", Precision.INT8_DYNAMIC): "int8-dynamic" + _LEFT.format("ConvTranspose"),
    **{("recurrent", precision): str(precision) + _LEFT.format("LSTM, GRU") for precision in _QUANTIZED},
    **{
        ("branch", precision): str(precision) + _LEFT.format("If")
        for precision in (*_QUANTIZED, Precision.BF16, Precision.INT8_WEIGHT)
    },
}
_HERE = offered_precisions("openvino", probe_host(measure=False))


@pytest.mark.slow
class TestOpenVino(BackendContract):
    name = "openvino"
    precisions = _HERE
    refused = {case: reason for case, reason in _REFUSED.items() if case[1] in _HERE}


def test_it_offers_more_than_float_here():
    assert {Precision.FP32, Precision.INT8, Precision.INT8_WEIGHT} <= {*_HERE}
