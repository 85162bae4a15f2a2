"""The backend contract for a backend that another package brings, with every precision there is to make."""

import pytest
from contracts.backend_contract import LEAST_SQNR_DB, BackendContract
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.slow


class TestToy(BackendContract):
    name = "toy"
    tells_placement = False
    precisions = tuple(precision for precision in Precision if precision is not Precision.GIVEN)
    least_sqnr_db = {**LEAST_SQNR_DB, Precision.INT4_WEIGHT: 5.0}

    def cases(self):
        """One scale for a whole weight, as the toy has, leaves nothing of channels 1e4 times smaller; the
        quicker of PyTorch's exporters has neither branches nor a whole layer of a transformer, and leaves the
        sizes open that transposed convolutions give."""
        offered = [c for c in super().cases() if c[0] not in ("branch", "transformer", "transposed")]
        return [c for c in offered if c[0] != "depthwise" or c[1] is Precision.FP32]
