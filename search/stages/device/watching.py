"""The device watched while something is measured on it: this machine, or another through a runner there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....backends.runner.client import RunnerClient
from ....backends.runner.states import state
from ....backends.watch.state import State
from ....backends.watch.watcher import of_this_machine
from ....profiles.errors import StageError

_MOST_FAILURES = 2


class Watching:
    """Tells the state of the device, see `measure.latency.Watch`.

    `runners` gives processes that are there anyway, of which the first is asked; none where this machine is
    the device. `cores` gives those that are used. A device that does not tell (it was asked before: not
    `tells`) is not asked for long: it is measured all the same.
    """

    def __init__(
        self,
        runners: Callable[[], Sequence[RunnerClient]] | None,
        cores: Callable[[], tuple[int, ...]],
        tells: bool = True,
    ) -> None:
        self._runners, self._cores = runners, cores
        self._failures = 0 if tells else _MOST_FAILURES

    def __call__(self, thorough: bool) -> State | None:
        """What it tells now, thoroughly or at a glance; None where it tells nothing."""
        cores = self._cores() or None
        if self._runners is None:
            watcher = of_this_machine()
            return watcher.look(cores) if thorough else watcher.glance(cores)
        there = [runner for runner in self._runners() if runner.ended is None]
        if not there or self._failures >= _MOST_FAILURES:
            return None
        try:
            return state(there[0], cores, thorough=thorough)
        except StageError:  # a runner that has died says so again when it is to sample
            self._failures += 1
            return None
