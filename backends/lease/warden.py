"""A process on the device that holds its lease for a study elsewhere, as long as that gives a sign of life.

Operations go from the body of a request to that of its answer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .lease import Lease, holder
from .place import NoLeaseError
from .said import FOR_OTHERS, OWNER
from .stuck import Stuck

SILENCE_S = 30.0
"""So long without a word, and the line is dead, or whoever has the lease was stopped: others have it then."""
BEAT_S = 5.0
"""How often a word comes, at least, while a lease is held or waited for."""
_LOOK_S, _MOST_WAIT_S = 1.0, 5.0

Operation = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Warden:
    """Holds one lease; where it is `watched`, it ends its process when nobody has asked anything for too
    long. Whoever measures on the machine on which it runs itself needs nobody to watch."""

    def __init__(
        self, *, watched: bool = True, silence_s: float = SILENCE_S, look_s: float = _LOOK_S
    ) -> None:
        self._lease, self._watched = Lease(), watched
        self._silence_s, self._look_s = silence_s, look_s
        self._left_s = silence_s
        self._watch: threading.Thread | None = None
        self._stuck = Stuck(silence_s)

    def take(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for the lease for "wait_s": its "number", or None and who has it ("holder"), or why there is
        none here ("impossible")."""
        self.beat(body)
        owner = {name: str(body.get(name, "")) for name in OWNER}
        if self._watched:
            owner[FOR_OTHERS] = "yes"
        try:
            number = self._lease.take(owner, min(float(body["wait_s"]), _MOST_WAIT_S))
            if number is not None:
                return {"number": number}
            self._stuck.look()
            return {"number": None, "holder": holder(), "work": self._lease.waits_for_work}
        except NoLeaseError as error:
            return {"number": None, "impossible": str(error)}

    def give_back(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Let others have it."""
        self._lease.give_back()
        return {}

    def beat(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """A sign of life."""
        self._left_s = self._silence_s
        if self._watched and self._watch is None:
            self._watch = threading.Thread(target=self._end_in_silence, name="warden", daemon=True)
            self._watch.start()
        return {}

    def _end_in_silence(self) -> None:
        """Only time in which this process ran is silence: none in which it, or the device, stood still."""
        while self._left_s > 0 or not self._lease.wanted:
            started = time.monotonic()
            time.sleep(self._look_s)
            self._left_s -= min(self._look_s, time.monotonic() - started)
        os._exit(1)  # the kernel frees its locks

    def holder(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Who has the lease, or why this device has none."""
        try:
            return {"holder": holder()}
        except NoLeaseError as error:
            return {"holder": None, "impossible": str(error)}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By the names that requests call them."""
        return {
            "take_lease": self.take,
            "give_lease_back": self.give_back,
            "beat": self.beat,
            "lease_holder": self.holder,
        }


OPERATIONS = Warden().operations
"""Of a runner's process, which may hold one lease."""
