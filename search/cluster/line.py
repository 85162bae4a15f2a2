"""The line to a cluster's scheduler, which may be lost and come back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from distributed import Client, Future

T = TypeVar("T")
AGAIN_S = 5.0
"""So long one try to reach a scheduler takes."""


class SchedulerLine:
    """`client` is None while the scheduler is not reached. `topic` is what workers tell events under, and
    `heard` is called with each, on a thread of the engine's."""

    def __init__(self, client: Client, topic: str, heard: Callable[[dict[str, Any]], None]) -> None:
        self.address, self._topic, self._heard = client.scheduler.address, topic, heard
        self.client: Client | None = client
        self._subscribe(client)

    def _subscribe(self, client: Client) -> None:
        client.subscribe_topic(self._topic, lambda event: self._heard(event[1]))

    def ask(self, what: Callable[[Client], T], otherwise: T) -> T:
        """What the scheduler answers; `otherwise` where it is not reached."""
        if self.client is None:
            return otherwise
        try:
            return what(self.client)
        except (
            OSError,
            RuntimeError,
            ValueError,
            AttributeError,
        ):  # of a client that is being closed
            self.look()
            return otherwise

    def submit(self, function: Callable[..., Any], given: Any, key: str, meant: str) -> Future | None:
        """Have a function called on a worker, `meant` if it is still there; None without a line."""
        return self.ask(
            lambda client: client.submit(
                function,
                given,
                key=key,
                workers=[meant] if meant else None,
                allow_other_workers=bool(meant),
                pure=False,
            ),
            None,
        )

    def look(self) -> bool:
        """Whether there is a line; one that is lost is given up."""
        if self.client is not None and self.client.status != "running":
            self.lost()
        return self.client is not None

    def lost(self) -> None:
        """Nobody answers at the other end any more."""
        self.close()

    def again(self) -> bool:
        """Try once to reach the scheduler anew."""
        with suppress(OSError, RuntimeError, ValueError):
            client = Client(self.address, timeout=AGAIN_S, set_as_default=False)
            self._subscribe(client)
            self.client = client
        return self.client is not None

    def close(self) -> None:
        """Hang up."""
        client, self.client = self.client, None
        if client is not None:
            with suppress(Exception):
                client.close(timeout=AGAIN_S)
