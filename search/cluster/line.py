"""The line to a cluster's scheduler, which may be lost and come back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future as Asked
from concurrent.futures import TimeoutError as NotInTime  # before Python 3.11 another one
from contextlib import suppress
from typing import Any, TypeVar

from distributed import Client, Future

T = TypeVar("T")
AGAIN_S, ANSWER_S = 5.0, 20.0
"""So long one try to reach a scheduler takes, and so long an answer is waited for."""


class SchedulerLine:
    """`client` is None while the scheduler is not reached. `topic` is what workers tell events under, and
    `heard` is called with each, on a thread of the engine's."""

    def __init__(self, client: Client, topic: str, heard: Callable[[dict[str, Any]], None]) -> None:
        self.address, self._topic, self._heard = client.scheduler.address, topic, heard
        self.client: Client | None = client
        self.listen()

    def listen(self) -> None:
        """Hear what workers tell. A scheduler that was away for a moment has forgotten who listens."""
        if self.client is not None:
            self.client.subscribe_topic(self._topic, lambda event: self._heard(event[1]))

    def tell(self, what: Callable[[Client], Any]) -> Asked[Any] | None:
        """Have something told, and do not wait: a worker that was stopped never answers."""
        client = self.client
        return None if client is None else _begun(lambda: what(client))

    def ask(self, what: Callable[[Client], T], otherwise: T) -> T:
        """What the scheduler answers; `otherwise` where it is not reached. One that keeps silent is lost."""
        asked = self.tell(what)
        if asked is None:
            return otherwise
        try:
            found: T = asked.result(ANSWER_S)
            return found
        except NotInTime:
            if not asked.done():
                self.close()
        except (OSError, RuntimeError, ValueError, AttributeError):  # of a client that is being closed
            pass
        self.look()
        return otherwise

    def submit(self, function: Callable[..., Any], given: Any, key: str, worker: str) -> Future | None:
        """Have a function called on a worker; None without a line."""
        return self.ask(
            lambda client: client.submit(function, given, key=key, workers=[worker], pure=False), None
        )

    def was_meant_to_end(self, worker: str) -> bool:
        """Whether a worker has ended as it was meant to, by the scheduler's word."""
        told: tuple[tuple[float, dict[str, Any]], ...] = self.ask(
            lambda client: client.get_events(worker), ()
        )
        ends = [event for _, event in told if event.get("action") == "remove-worker"]
        return bool(ends) and bool(ends[-1].get("expected"))

    def look(self) -> bool:
        """Whether there is a line; one that is lost is given up."""
        if self.client is not None and self.client.status != "running":
            self.close()
        return self.client is not None

    def again(self) -> bool:
        """Try once to reach the scheduler anew."""
        with suppress(OSError, RuntimeError, ValueError):
            self.client = Client(self.address, timeout=AGAIN_S, set_as_default=False)
            self.listen()
        return self.client is not None

    def close(self) -> None:
        """Hang up; nobody may answer at the other end."""
        client, self.client = self.client, None
        if client is not None:
            with suppress(Exception):
                _begun(lambda: client.close(timeout=AGAIN_S)).result(2 * AGAIN_S)


def _begun(what: Callable[[], T]) -> Asked[T]:
    """Called on a thread of its own, which nobody waits for at the end."""
    found: Asked[T] = Asked()

    def run() -> None:
        try:
            found.set_result(what())
        except BaseException as error:  # it is the asker's
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return found
