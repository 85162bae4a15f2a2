"""The backend contract for a backend that another package brings, with every precision there is to make."""

from contracts.backend_contract import BackendContract
from paretune.profiles.precision import Precision


class TestToy(BackendContract):
    name = "toy"
    precisions = tuple(precision for precision in Precision if precision is not Precision.GIVEN)
