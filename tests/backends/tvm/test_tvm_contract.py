"""The backend contract for Apache TVM, untuned."""

import pytest
from contracts.backend_contract import LEAST_SQNR_DB, BackendContract
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
    least_sqnr_db = {**LEAST_SQNR_DB, Precision.FP16: 40.0}  # its kernels add up in 16 bits as well
    refused = {("recurrent", precision): "GRU|LSTM" for precision in precisions}
