"""What holds a device's lease for a study: this process for this machine's, a runner there for another's."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ...profiles.errors import StageError, UserError
from ..lease.warden import BEAT_S, SILENCE_S, Warden
from .client import Guard, RunnerClient
from .launch import Launch
from .reading import Reply


class Here:
    """The lease of this machine is held by this process."""

    def __init__(self) -> None:
        self._operations = Warden(watched=False).operations

    answers = True

    def start(self) -> None:
        """Nothing has to be started."""

    def ask(self, operation: str, body: Mapping[str, Any]) -> Reply:
        """What the lease answers."""
        answer = self._operations[operation](body)
        return Reply(device="this machine", operation=operation, stage="measure", body=answer)

    def give_back(self) -> None:
        """Let others have it."""
        self.ask("give_lease_back", {})

    close = give_back


class There:
    """The lease of another machine is held by a runner there, which hears from us as long as we live."""

    def __init__(self, launch: Launch, guard: Guard) -> None:
        self._launch, self._guard = launch, Guard(open_s=guard.open_s)
        self._warden: RunnerClient | None = None
        self._turn = threading.Lock()
        self._beating: threading.Event | None = None

    def start(self) -> None:
        """Start the runner where there is none that can be asked."""
        if not self.answers:
            self._warden = RunnerClient(self._launch, guard=self._guard)
            self._warden.__enter__()

    @property
    def answers(self) -> bool:
        """Whether the runner can be asked."""
        return self._warden is not None and self._warden.ended is None

    def ask(self, operation: str, body: Mapping[str, Any]) -> Reply:
        """What it answers; words of life are sent from the first one on."""
        if self._beating is None:
            self._beating = threading.Event()
            threading.Thread(target=self._beat, args=(self._beating,), name="lease", daemon=True).start()
        return self._asked(operation, body)

    def _asked(self, operation: str, body: Mapping[str, Any]) -> Reply:
        assert self._warden is not None
        with self._turn:
            return self._warden.ask(operation, SILENCE_S, body)

    def _beat(self, ended: threading.Event) -> None:
        with suppress(StageError, UserError):  # whoever works under the lease hears of its end
            while not ended.wait(BEAT_S):
                self._asked("beat", {})

    def give_back(self) -> None:
        """Let others have it: where the line is gone, they have it soon."""
        if self._beating is not None:
            self._beating.set()
            self._beating = None
        if self.answers:
            with suppress(StageError, UserError):
                self._asked("give_lease_back", {})

    def close(self) -> None:
        """End the runner."""
        self.give_back()
        if self._warden is not None:
            self._warden.close()
