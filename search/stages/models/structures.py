"""What the structures of a workload's networks tell, at once where that takes next to nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from time import process_time

from torch import Tensor, nn

from ....profiles.errors import UnsupportedError
from ....profiles.guard.user_code import UserCodeError
from ...record.candidate import Candidate
from ...record.untrained import UNTOLD, Untrained
from ..network.model_size import model_size
from ..network.recorded import Recorder
from .networks import Networks, Student

_SECONDS, _SHARE = 1.0, 0.1
"""Recording at the set-up may take so many seconds, or that share of the process's time."""


class Structures:
    """By student; `()` is the teacher. Of a pruned network it is the dense one's: how much of it was removed
    is an axis already."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self._told: dict[Student, Untrained] = {}
        self._seconds = 0.0

    def sized(self, student: Student, model: nn.Module) -> dict[str, int]:
        """`model_size` of a dense network, whose structure the same run tells while that is cheap."""
        sample = self.networks.sample(1)
        if self._seconds > max(_SECONDS, _SHARE * process_time()):
            return model_size(model, sample)
        return self._recorded(student, model, sample)

    def known(self, candidate: Candidate) -> Untrained:
        """What is told by now. Networks of one function whose weights are zeroed otherwise are not one."""
        told = self._told.get(tuple(sorted(candidate.student)), UNTOLD)
        if not told.function or candidate.sparsity == "dense":
            return told
        return replace(told, function=f"{told.function} {candidate.sparsity}")

    def looked_at(self, candidate: Candidate) -> Untrained:
        """The same, where the structure is recorded now if it was not before."""
        student = tuple(sorted(candidate.student))
        if student not in self._told:
            self._told[student] = UNTOLD  # where it does not run
            with suppress(UserCodeError, UnsupportedError):
                self._recorded(student, self.networks.build(student), self.networks.sample(1))
        return self.known(candidate)

    def _recorded(self, student: Student, model: nn.Module, sample: list[Tensor]) -> dict[str, int]:
        recorder = Recorder()
        sizes = model_size(model, sample, recorder.run)
        self._told[tuple(sorted(student))] = recorder.told(model)
        self._seconds += recorder.seconds
        return sizes
