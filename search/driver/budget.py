"""When a search ends: trials, wall time, an interrupt. Time is injected, so tests need not wait."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from types import FrameType

from ...profiles.errors import UserError
from ...profiles.words import duration
from ..record.stops import INTERRUPTED, Interrupted, NoTimeLeft

Clock = Callable[[], float]
"""Seconds from any fixed origin, never going back."""


DONE_ANYHOW_S = 30.0
"""What a study cannot do without and takes no longer is done whatever its budget."""
AT_ONCE = 3
"""So many signals end the process where it is: the user's own training, say, heeds no flag."""
ONCE_MORE_S = 10.0
"""What is ended then, workers say, is ended in order: it is not interrupted before so long."""


@dataclass
class StopFlag:
    """Set by Ctrl-C, SIGTERM or SIGHUP. The first one lets the stage at hand finish; the second stops
    training at the end of its epoch."""

    count: int = 0

    def request(self) -> None:
        """Ask for a stop."""
        self.count += 1

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for at all."""
        return self.count > 0

    @property
    def urgent(self) -> bool:
        """Whether it was asked for more than once."""
        return self.count > 1


@dataclass
class Budget:
    """Trials and seconds that are left, and whether a stop was asked for. Time counts from `start` on.

    `within` are the seconds that this session may take, whatever earlier ones have left of the budget.
    `reserve` are seconds kept for what follows the search: to it the time is used up so much earlier. Nothing
    is begun that cannot end: `least` are the seconds that a candidate takes on the device at the least,
    `rest` those that follow its training, as the device has shown them. Those that were `waited`, in which
    others had the device, pass like all others, but are nobody's cost.
    """

    trials: int | None
    seconds: float | None
    stop: StopFlag = field(default_factory=StopFlag)
    clock: Clock = time.monotonic
    within: float | None = None
    reserve: float = field(default=0.0, init=False)
    waited: float = field(default=0.0, init=False)
    least: float = field(default=0.0, init=False)
    rest: float = field(default=0.0, init=False)
    _started: float | None = field(default=None, init=False)
    _spent: float = field(default=0.0, init=False)
    _counts: bool = field(default=True, init=False)
    _asked: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._asked = self.seconds

    def start(self, spent_seconds: float = 0.0, waited_seconds: float = 0.0) -> None:
        """Time runs from the first call on; earlier sessions have used so much of it, and waited so long."""
        self._spent = spent_seconds
        self.waited += waited_seconds
        if self.within is not None:
            self.seconds = min(inf if self._asked is None else self._asked, spent_seconds + self.within)
        if self._started is None:
            self._started = self.clock()

    @contextmanager
    def untimed(self) -> Iterator[None]:
        """What is done inside is done also where the time is used up; nothing is kept back from it."""
        self._counts = False
        try:
            yield
        finally:
            self._counts = True

    def worked(self) -> float:
        """A clock that stands still while others have the device."""
        return self.clock() - self.waited

    @property
    def elapsed_seconds(self) -> float:
        """Wall time used by this study in all sessions together."""
        return self._spent + (0.0 if self._started is None else self.clock() - self._started)

    def exhausted(self, evaluated: int) -> str:
        """Why the search must end now, or an empty text."""
        if self.trials is not None and evaluated >= self.trials:
            return f"the budget of {self.trials} trials is used up"
        return self._lacking(self.least, "a candidate")

    @property
    def seconds_left(self) -> float:
        """Seconds until the time is used up, infinite where there is no end."""
        if self.seconds is None:
            return inf
        kept = self.reserve if self._counts else 0.0
        return max(0.0, self.seconds - self.elapsed_seconds - kept)

    @property
    def out_of_time(self) -> bool:
        """Whether a training under way has to end, since the time is used up but for what follows it."""
        return self._counts and self.seconds_left <= self.rest

    def checkpoint(self) -> None:
        """Called between stages.

        Raises:
            Interrupted: a stop was asked for, or the time is used up.
        """
        if self.stop.requested:
            raise Interrupted(INTERRUPTED)
        if self._counts and self.seconds_left <= 0:
            raise Interrupted(self._lacking(0.0, ""))

    def afford(self, seconds: float, what: str) -> None:
        """Called before something on the device begins that takes about so many seconds.

        Raises:
            NoTimeLeft: there is not so much time left.
            UserError: it has to be done in any case, and takes longer than the whole budget.
        """
        if self._counts:
            why = self._lacking(seconds, what)
            if why:
                raise NoTimeLeft(why)
        elif self.seconds is not None and seconds > max(self.seconds, DONE_ANYHOW_S):
            raise too_small(self.seconds, seconds, what)

    def _lacking(self, seconds: float, what: str) -> str:
        """Why so many seconds are not left; empty where they are."""
        if self.seconds_left <= 0:
            return f"the budget of {self.seconds:g} s is used up"
        if self.seconds_left >= seconds:
            return ""
        left = f"{duration(self.seconds_left)} of the budget of {self.seconds:g} s are left for the search"
        return f"{left}, and {what} takes about {duration(seconds)} on this device"


ENOUGH_FOR = 10
"""Candidates that the budget which is proposed has time for."""


def too_small(budget: float, seconds: float, what: str) -> UserError:
    """The error that a budget is which does not suffice for the reference."""
    wanted = ENOUGH_FOR * seconds
    return UserError(
        "the budget of time is too small for the uncompressed teacher alone, against which all is taken",
        place="budget.time",
        found=f"{what} takes about {duration(seconds)} on this device, the budget is {duration(budget)}",
        remedy=f"`budget: {{time: {math.ceil(wanted / 60)} min}}` has time for some candidates; with fewer "
        "samples in the validation split each of them takes less",
    )


@contextmanager
def catch_interrupts(flag: StopFlag, tell: Callable[[int], None]) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into `flag`; `tell(count)` lets the user know what happens now.

    A terminal that closes sends SIGHUP several times, which asks for one stop; under `nohup`, which has it
    ignored, it asks for none. One that comes late must not end what is left to be done after the block.
    """
    hung_up, ended = False, -math.inf

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal hung_up, ended
        hung_up = hung_up or signum == _HANG_UP
        if signum == _HANG_UP and flag.requested:
            return
        flag.request()
        tell(flag.count)
        if flag.count >= AT_ONCE and time.monotonic() - ended >= ONCE_MORE_S:
            ended = time.monotonic()
            raise KeyboardInterrupt

    heeded = [signal.SIGINT, signal.SIGTERM]
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
        heeded.append(_HANG_UP)
    before = [signal.signal(number, handle) for number in heeded]
    try:
        yield
    finally:
        for number, handler in zip(heeded, before, strict=True):
            signal.signal(number, signal.SIG_IGN if hung_up and number == _HANG_UP else handler)


_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows knows none
