"""The backend contract for a backend that another package brings, with every precision there is to make."""

from contracts.backend_contract import LEAST_SQNR_DB, BackendContract
from paretune.profiles.precision import Precision


class TestToy(BackendContract):
    name = "toy"
    precisions = tuple(precision for precision in Precision if precision is not Precision.GIVEN)
    least_sqnr_db = {**LEAST_SQNR_DB, Precision.INT4_WEIGHT: 5.0}  # one scale for each weight, whatever it is
