"""The backend contract for a backend that another package brings, which has every precision."""

from contracts.backend_contract import BackendContract
from paretune.profiles.precision import Precision


class TestToy(BackendContract):
    name = "toy"
    precisions = tuple(Precision)
