"""The workers that are there, and which of them are fit for a study."""

from __future__ import annotations

import time

from ...profiles.errors import UserError
from ...profiles.words import duration, listed
from ..record.progress import Progress
from .line import SchedulerLine
from .orders import Unfit

FRESH_S = 2.0
"""So long it is taken to be known which workers there are."""
NONE_LEFT_S = 120.0
"""So long a study waits for a first worker, and for one to come back."""
PASSES_S = 600.0
"""A worker that something is in the way of which may pass is tried again after so long; one that does not
reach a device, on that. A device that is lost for all is away for as long, and longer."""


class Present:
    """Workers are known by their addresses, by name as far as they have told something."""

    def __init__(self, line: SchedulerLine, progress: Progress) -> None:
        self._line, self._progress = line, progress
        self.there: tuple[str, ...] = ()
        """All of them, as they were when somebody looked last."""
        self._unfit: dict[str, Unfit] = {}
        self._until: dict[str, float] = {}  # addresses of those to be tried again
        self._told: dict[str, tuple[str, ...]] = {}  # what was in their way
        self._no_way: dict[tuple[str, str], float] = {}  # of a worker to a device, and until when
        self._names: dict[str, str] = {}
        self._looked = -float("inf")
        self._seen: float | None = None  # when a fit one was there last, or the first was looked for

    def fit(self) -> tuple[str, ...]:
        """Those that are, as far as is known, fit."""
        now = time.monotonic()
        if now - self._looked > FRESH_S:
            self._look_around()
        for address in [address for address, until in self._until.items() if now >= until]:
            del self._until[address], self._unfit[address]
        found = tuple(address for address in self.there if address not in self._unfit)
        if found or self._seen is None:
            self._seen = now
        return found

    def _look_around(self) -> None:
        there = self._line.ask(lambda client: tuple(client.nthreads()), None)
        self._looked = time.monotonic()
        if there is None:
            return  # without a line nothing is known of them
        self._line.listen()
        if set(there) != set(self.there):
            self.there = there
            self._progress.workers({self._names[one] for one in there if one in self._names})

    def anew(self) -> None:
        """The scheduler was away: workers have as long as in the beginning."""
        self._looked, self._seen = -float("inf"), time.monotonic()

    def told(self, address: str, name: str) -> None:
        """A worker has said its name."""
        self._names[address] = name

    def name(self, address: str) -> str:
        """What a worker is called."""
        return self._names.get(address, address)

    def leave_out(self, unfit: Unfit) -> None:
        """No task for it any more, or for a while where what is in the way may pass; told once."""
        self._unfit[unfit.address] = unfit
        self._progress.at_work(unfit.worker, None, "")
        self._until.pop(unfit.address, None)
        why = "it differs"
        if unfit.passes:
            self._until[unfit.address] = time.monotonic() + PASSES_S
            why = f"for {duration(PASSES_S)}"
        if self._told.get(unfit.address) != unfit.differences:
            self._told[unfit.address] = unfit.differences
            self._progress.note(f"{unfit.worker} is left out, {why}: {listed(unfit.differences)}")

    def reaching(self, device: str) -> tuple[str, ...]:
        """Those of the fit ones that, as far as is known, reach a device; where none does, all may try."""
        cut, fit = self._cut_off(device), self.fit()
        return tuple(one for one in fit if one not in cut) or fit

    def ways_lacking(self, address: str) -> int:
        """How many devices a worker does not reach: it is to have what it can do."""
        return sum(one == address for one, _ in self._no_way)

    def alone_without(self, address: str, device: str) -> bool:
        """A worker does not reach a device. Whether that may be its own matter, since there are others and it
        is the first of which that is known."""
        alone = bool(set(self.fit()) - {address}) and self._cut_off(device) <= {address}
        self._no_way[address, device] = time.monotonic() + PASSES_S
        if alone:
            where = device or "the device"
            self._progress.note(f"{self.name(address)} does not reach {where}: another worker tries it")
        return alone

    def _cut_off(self, device: str) -> set[str]:
        now = time.monotonic()
        self._no_way = {way: until for way, until in self._no_way.items() if now < until}
        return {address for address, one in self._no_way if one == device}

    def check(self) -> None:
        """Raises:
        UserError: no fit worker was seen for a while.
        """
        if self.fit() or self._seen is None or time.monotonic() - self._seen < NONE_LEFT_S:
            return
        named = [f"{one.worker}: {', '.join(one.differences)}" for one in self._unfit.values()]
        raise UserError(
            "no worker is fit for this study" if named else "no worker is there",
            place="workers",
            found="; ".join(named) or "none",
            accepted="workers with the versions, study file, data and store of the driver",
            remedy="start workers in the driver's environment, and run again: what was finished is kept",
        )
