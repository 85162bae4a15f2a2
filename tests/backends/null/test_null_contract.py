"""The backend contract for the null backend, which has every precision."""

from contracts.backend_contract import BackendContract
from paretune.profiles.precision import Precision


class TestNull(BackendContract):
    name = "null"
    precisions = tuple(Precision)
