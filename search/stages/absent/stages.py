"""The stages of a device that is not there: what this machine can do in its place, and nothing else."""

from __future__ import annotations

from typing import Any, NoReturn

from ....backends.measure.samples import Rounds
from ....backends.measure.spread import Spread
from ....profiles.errors import InternalError
from ...record.candidate import Candidate
from ...record.timing import Timing
from ...store.store import Entry
from ..device.stages import DeviceStages


class AbsentStages(DeviceStages):
    """Compiles and scores on this machine; whatever would measure is a fault of ours."""

    _named: tuple[Entry, str] | None = None

    def set_reference(self, compiled: Entry, candidate: Candidate) -> None:
        """Name the artifact that side effects are taken against."""
        self._named = (compiled, candidate.backend)

    @property
    def reference(self) -> tuple[Entry, str]:
        """That artifact and its backend; InternalError before."""
        if self._named is None:
            raise InternalError("something is compared before the reference was set")
        return self._named

    @property
    def spread(self) -> Spread | None:
        """Not known: no process is compared with another."""
        return None

    @property
    def timing(self) -> Timing | None:
        """Nothing is timed."""
        return None

    def measured(self, *_: Any, **__: Any) -> Entry:
        """InternalError."""
        _refuse()

    def interleaved(self, *_: Any, **__: Any) -> Rounds:
        """InternalError."""
        _refuse()


def _refuse() -> NoReturn:
    raise InternalError("something is to be measured on a device that is only estimated")
