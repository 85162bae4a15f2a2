"""What holds a device's lease for a study: this process for this machine's, a runner there for another's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ...profiles.errors import StageError, UserError
from ..lease.quiet import Quiet
from ..lease.warden import BEAT_S, SILENCE_S, Warden
from .client import Guard, RunnerClient
from .launch import Launch
from .reading import Reply

_GIVE_BACK_S = 10.0


class Here:
    """The lease of this machine is held by this process, and what computes on it pauses meanwhile."""

    def __init__(self) -> None:
        self._operations = Warden(watched=False).operations
        self._quiet = Quiet()

    answers = True

    def start(self) -> None:
        """Nothing has to be started."""

    def ask(self, operation: str, body: Mapping[str, Any]) -> Reply:
        """What the lease answers."""
        answer = self._operations[operation](body)
        return Reply(device="this machine", operation=operation, stage="measure", body=answer)

    def hush(self, meanwhile: Callable[[], None]) -> None:
        """Have what computes here pause, from now on until the lease is given back."""
        self._quiet.begin(meanwhile)

    @property
    def beside(self) -> str:
        """What of it went on all the same."""
        return self._quiet.beside

    def give_back(self) -> None:
        """Let others have it."""
        self._quiet.end()
        self.ask("give_lease_back", {})

    close = abandon = give_back


class There:
    """The lease of another machine is held by a runner there, which hears from us as long as we live."""

    def __init__(self, launch: Launch, guard: Guard) -> None:
        self._launch, self._guard = launch, Guard(open_s=guard.open_s)
        self._warden: _Warden | None = None

    def start(self) -> None:
        """Start the runner where there is none that can be asked."""
        if not self.answers:
            client = RunnerClient(self._launch, guard=self._guard)
            client.__enter__()
            self._warden = _Warden(client)

    @property
    def answers(self) -> bool:
        """Whether the runner can be asked."""
        return self._warden is not None and self._warden.client.ended is None

    def ask(self, operation: str, body: Mapping[str, Any]) -> Reply:
        """What it answers; words of life are sent from the first one on."""
        assert self._warden is not None
        self._warden.begin_to_beat()
        return self._warden.ask(operation, body)

    beside = ""

    def hush(self, meanwhile: Callable[[], None]) -> None:
        """Nothing of ours computes there."""

    def give_back(self) -> None:
        """Let others have it: where the line is gone, they have it soon."""
        if self._warden is not None and not self._warden.give_back():
            self.abandon()

    def abandon(self) -> None:
        """Drop a line at whose other end nobody may answer, without waiting for it."""
        warden, self._warden = self._warden, None
        if warden is not None:
            warden.stop_beating()
            # Whoever still reads from it must be through before its pipes are closed.
            threading.Thread(target=warden.drop, name="lease", daemon=True).start()

    def close(self) -> None:
        """End the runner."""
        self.give_back()
        if self._warden is not None:
            self._warden.close()


@dataclass
class _Warden:
    """A runner there, and who asks it: the study and the thread that gives signs of life take turns."""

    client: RunnerClient
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event | None = None

    def ask(self, operation: str, body: Mapping[str, Any]) -> Reply:
        with self._turn:
            return self.client.ask(operation, SILENCE_S, body)

    def begin_to_beat(self) -> None:
        if self._stop is None:
            self._stop = threading.Event()
            threading.Thread(target=self._beat, args=(self._stop,), name="lease", daemon=True).start()

    def stop_beating(self) -> None:
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _beat(self, stop: threading.Event) -> None:
        with suppress(StageError, UserError):  # whoever works under the lease hears of its end
            while not stop.wait(BEAT_S):
                with self._turn:
                    if not stop.is_set():
                        self.client.ask("beat", SILENCE_S, {})

    def give_back(self) -> bool:
        """Whether that was heard, or the runner has ended."""
        self.stop_beating()
        if not self._turn.acquire(timeout=_GIVE_BACK_S):
            return False
        try:
            if self.client.ended is None:
                self.client.ask("give_lease_back", _GIVE_BACK_S, {})
        except (StageError, UserError):
            return self.client.ended is None  # an earlier paretune, which has none
        finally:
            self._turn.release()
        return True

    def close(self) -> None:
        with self._turn:
            self.client.close()

    def drop(self) -> None:
        with self._turn:
            self.client.abandon()
