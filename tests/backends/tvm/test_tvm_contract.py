"""The backend contract for Apache TVM, untuned."""

import pytest
from contracts.backend_contract import BackendContract
from paretune.backends.tvm.processor import HALF, this_one
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.slow


class TestTvm(BackendContract):
    name = "tvm"
    tells_placement = False
    precisions = (
        Precision.FP32,
        *([Precision.FP16] if {*this_one().instruction_sets} & {*HALF} else []),
    )
    refused = {("recurrent", precision): "GRU|LSTM" for precision in precisions}
