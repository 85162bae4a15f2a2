"""The lease of a device, from the study's side: taken for a piece of work; waiting is shown."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...profiles.errors import StageError
from ..contract.backend import Feed
from ..lease.quiet import Computing
from ..lease.warden import SILENCE_S
from .client import Guard, Pinned, RunnerClient
from .launch import Launch
from .lease_holding import Here, There
from .of_session import OF_SESSION
from .reading import Reply, flag, mapping, maybe, number, text, whole
from .replies import LostLeaseError
from .ssh_words import SEE
from .trouble import Trouble, UnreachableError

_WAIT_S, _DAY_S = 1.0, 86_400.0
_WORK = OF_SESSION.keys() | {"compile", "make", "tune", "open", "prepare", "infer", "sample", "memory"}
"""Operations that keep a device busy, or look at what did."""
_EARLIER = "the paretune there is an earlier one, which knows of no lease ({why})"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who measures on a device, as far as it is told: "anna@laptop", the study, since when (by the clock of
    this machine), and the process on the device that holds the lease, which may be stopped."""

    who: str = ""
    study: str = ""
    pid: int | None = None
    stopped: bool = False
    since: float | None = None

    def __str__(self) -> str:
        since = ""
        if self.since is not None:
            shown = "%H:%M" if time.time() - self.since < _DAY_S else "%Y-%m-%d %H:%M"
            since = time.strftime(f" since {shown}", time.localtime(self.since))
        details = [
            f"study {self.study}" if self.study else "",
            f"process {self.pid} there" if self.pid else "",
            "which is stopped" if self.stopped else "",
        ]
        told = ", ".join(filter(None, details))
        return f"{self.who or 'somebody'} measures there{since}" + (f" ({told})" if told else "")


class DeviceLease:
    """The right to use a device, which one study at a time has: `with lease.held(): ...`.

    It is taken for one piece of work and given back after it, so that studies alternate; who gives back and
    takes again comes behind those who wait. On this machine, what computes pauses meanwhile: `at_work` is for
    what this side computes on it. While it is waited for, `tell` is told for whom and how many
    seconds by now, and `meanwhile` is called every second: what it raises ends the wait. `waited` is told how
    many there were in the end. Requests of a `LeasedClient` are refused by the device once somebody else has
    the lease, which this side may not have noticed: it was suspended, or its line cut.

    Where a device can have no lease, work goes on without one; `impossible` says why then, and `note` is told
    where that was not known before.
    """

    def __init__(
        self,
        launch: Launch,
        *,
        guard: Guard | None = None,
        study: str = "",
        tell: Callable[[str, float], None] = lambda text, seconds: None,
        note: Callable[[str], None] = lambda text: None,
        waited: Callable[[float], None] = lambda seconds: None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self.launch, self._tell, self._note = launch, tell, note
        self._waited, self._meanwhile = waited, meanwhile
        self._owner = {"who": _who(), "study": study}
        self._holding = Here() if launch.shares_files else There(launch, guard or Guard())
        self.at_work = Computing(meanwhile=meanwhile, waited=waited)
        self._depth = 0
        self.number: int | None = None
        self.impossible = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the device to oneself for the length of a block; blocks within it are part of it.

        Raises:
            UnreachableError: the device cannot be reached, or its line was lost in a wait.
            StageError: it does not answer as it should.
        """
        if not self._depth:
            self._take()
        self._depth += 1
        try:
            yield
        except StageError as error:
            if error.device and (error.outside or error.silent):
                self._holding.abandon()  # its line may be gone, too
            raise
        finally:
            self._depth -= 1
            if not self._depth:
                self.number = None
                self._holding.give_back()

    @contextmanager
    def held_elsewhere(self) -> Iterator[None]:
        """As `held` where the device is another machine. On this one, what is not measured needs no lease; it
        waits where another measures, and who wants to measure waits for it."""
        with self.at_work if self.launch.shares_files else self.held():
            yield

    @property
    def beside(self) -> str:
        """What went on beside since the lease was taken, though it should have paused; empty: nothing."""
        return self._holding.beside

    def remarks(self) -> tuple[str, ...]:
        """Why the device can have no lease, where that is so."""
        self._holding.start()
        self._heed(self._ask("lease_holder", {}))
        return (self._lacking,) if self.impossible else ()

    @property
    def _lacking(self) -> str:
        why = f"so that others may measure there meanwhile: {self.impossible}"
        return f"{self.launch.device} can have no lease, {why}"

    def abandon(self) -> None:
        """Give up a line at whose other end nobody may answer."""
        self._holding.abandon()

    def close(self) -> None:
        """Give back what is held, for good."""
        self._holding.close()

    def _take(self) -> None:
        self._holding.start()
        started, known, self.impossible = time.monotonic(), self.impossible, ""
        try:
            while self.number is None and not self.impossible:
                self._take_if_free(started)
            if self.impossible not in ("", known):
                self._note(self._lacking)
            self._holding.hush(lambda: self._shown("a step of another paretune is to end", started))
        except StageError as error:
            self._holding.abandon()
            if not error.device or not (error.outside or error.silent):
                raise
            # Nothing was at work yet: no fault of what was to be measured.
            see = SEE.format(by_hand=self.launch.by_hand)
            raise UnreachableError(self.launch, Trouble.SILENT, found=error.cause, remedy=see) from error
        except BaseException:
            self._holding.give_back()
            raise
        finally:
            self._waited(time.monotonic() - started)

    def _take_if_free(self, started: float) -> None:
        reply = self._ask("take_lease", {**self._owner, "wait_s": _WAIT_S})
        if self._heed(reply):
            return
        self.number = reply.read("number", maybe(whole), None)
        if self.number is None:
            self._shown(_why(reply), started)

    def _shown(self, why: str, started: float) -> None:
        self._tell(f"waiting for {self.launch.device}: {why}", time.monotonic() - started)
        self._meanwhile()

    def _ask(self, operation: str, body: Mapping[str, Any]) -> Reply:
        try:
            return self._holding.ask(operation, body)
        except StageError as error:
            if not self._holding.answers:
                raise
            found = {"impossible": _EARLIER.format(why=error.cause)}
            return Reply(device=self.launch.device, operation=operation, stage="measure", body=found)

    def _heed(self, reply: Reply) -> bool:
        self.impossible = reply.read("impossible", text, "")
        return bool(self.impossible)


class LeasedClient(RunnerClient):
    """A runner whose requests count only while the lease that they were made under is still ours. `launch` is
    another way to start one on the lease's device."""

    def __init__(
        self,
        lease: DeviceLease,
        *,
        guard: Guard | None = None,
        pinned: Pinned = False,
        launch: Launch | None = None,
    ) -> None:
        super().__init__(launch or lease.launch, guard=guard, pinned=pinned)
        self._lease = lease

    def ask(
        self,
        operation: str,
        seconds: float,
        body: Mapping[str, Any] | None = None,
        arrays: Feed | None = None,
        *,
        most: int = 0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Reply:
        """As `RunnerClient.ask`; the runner ends where the lease has passed to somebody else."""
        if self._lease.number is not None and operation in _WORK:
            body = {**(body or {}), "lease": self._lease.number}
        try:
            return super().ask(operation, seconds, body, arrays, most=most, meanwhile=meanwhile)
        except LostLeaseError as error:
            raise self._end(self._started(), error.stage, error.cause, outside=True) from error


def holder_of(runner: RunnerClient) -> tuple[Holder | None, str]:
    """Who measures on a runner's device, None where nobody does; and why it has no lease, else "".

    Raises:
        StageError, UserError: as `RunnerClient.ask`.
    """
    try:
        reply = runner.ask("lease_holder", SILENCE_S)
    except StageError as error:
        if runner.ended is not None:
            raise
        return None, _EARLIER.format(why=error.cause)
    told = reply.read("holder", maybe(mapping))
    return None if told is None else _holder(reply, told), reply.read("impossible", text, "")


def _holder(reply: Reply, told: Mapping[str, Any]) -> Holder:
    said = Reply(device=reply.device, operation=reply.operation, stage=reply.stage, body=told)
    seconds = said.read("seconds", maybe(number), None)
    return Holder(
        who=said.read("who", text, ""),
        study=said.read("study", text, ""),
        pid=said.read("pid", maybe(whole), None),
        stopped=said.read("stopped", flag, False),
        since=None if seconds is None else time.time() - seconds,
    )


def _why(reply: Reply) -> str:
    if reply.read("work", flag, False):
        return "what an earlier study started there has not ended yet"
    told = reply.read("holder", maybe(mapping), None)
    return "somebody has just measured there" if told is None else str(_holder(reply, told))


def _who() -> str:
    """ "anna@laptop"."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container knows no name for its user
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
