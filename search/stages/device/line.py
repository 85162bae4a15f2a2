"""A device that does not answer any more is asked again and again, with growing pauses, for a stated time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ....backends.runner.client import Guard
from ....backends.runner.launch import Launch
from ....backends.runner.start import start
from ....backends.runner.trouble import UnreachableError
from ....profiles.errors import StageError
from ....profiles.words import duration
from ...record.progress import Progress
from ...record.stops import ENDS_EARLY, DeviceGoneError

FIRST_PAUSE_S, LONGEST_PAUSE_S, GROWTH, JITTER = 1.0, 30.0, 1.6, 0.2
BOOT_S = 60.0
"""A device that starts may refuse us for a moment: homes and disks are not there yet."""
LEAST_LOOK_S = 20.0
_STEP_S = 0.5


def _nothing() -> None:
    """Nobody asks for a stop."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """How the device of `launch` is reached, within which limits, and how it is waited for: as long as
    `guard.patience_s` says. `checkpoint` is called meanwhile; what it raises ends the wait."""

    launch: Launch
    guard: Guard
    progress: Progress = field(default_factory=Progress)
    checkpoint: Callable[[], None] = _nothing
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def silent(self, error: StageError) -> bool:
        """Whether it was the device from which nothing came in time, and not what ran there: does it answer
        now?"""
        if not error.device:
            return False
        self.progress.stage(f"nothing came from {self.launch.device}: does it answer?")
        trouble = self._asked(LEAST_LOOK_S + self.guard.patience_s, self.checkpoint)
        return trouble is not None

    def until_it_answers(self, error: StageError | UnreachableError) -> None:
        """Come back when the device answers.

        Raises:
            DeviceGoneError: it does not within the patience, or will not by itself.
        """
        if isinstance(error, UnreachableError) and not error.trouble.mends:
            raise self._gone(error, 0.0)
        began, pause, device = self.clock(), FIRST_PAUSE_S, self.launch.device
        patience = self.guard.patience_s
        said = _words(error)

        def waited() -> float:
            return self.clock() - began

        def shown() -> None:
            self.checkpoint()
            self.progress.stage(
                f"waiting for {device}: no answer since {duration(round(waited()))}, "
                f"patience {duration(patience)}"
            )

        trouble = self._asked(max(LEAST_LOOK_S, patience), shown)
        if trouble is None:
            self.progress.note(f"{said}; {device} answers, it is tried once more")
            return
        self.progress.note(f"{device}: {said}; waiting for its answer, up to {duration(patience)}")
        while trouble:
            if waited() >= patience or not (trouble.trouble.mends or self._starts(trouble, waited())):
                raise self._gone(trouble, waited())
            self._rest(min(pause * random.uniform(1 - JITTER, 1 + JITTER), patience - waited()), shown)
            pause = min(GROWTH * pause, LONGEST_PAUSE_S)
            trouble = self._asked(max(LEAST_LOOK_S, patience - waited()), shown)
        self.progress.note(f"{device} answers, after {duration(waited())}")

    def _asked(self, seconds: float, meanwhile: Callable[[], None]) -> UnreachableError | None:
        """What keeps the device from giving a runner now; None where it gives one."""
        meanwhile()
        try:
            start(self.launch, min(self.guard.open_s, seconds), None, meanwhile).kill()
        except UnreachableError as error:
            return error
        return None

    @staticmethod
    def _starts(error: UnreachableError, waited: float) -> bool:
        return error.trouble.may_be_a_start and waited < BOOT_S

    def _rest(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        end = self.clock() + seconds
        while (left := end - self.clock()) > 0:
            meanwhile()
            self.sleep(min(_STEP_S, left))

    def _gone(self, error: UnreachableError, waited: float) -> DeviceGoneError:
        since = f"for {duration(waited)}, since {_time_of_day(waited)}" if waited else ""
        longer = ", `guard: {patience: 1 h}` in the study file waits longer" if error.trouble.mends else ""
        return DeviceGoneError(
            f"{ENDS_EARLY}device {error.device} cannot be reached any more, {error.why}",
            found="; ".join(filter(None, (error.found, since and f"no answer {since}"))),
            remedy=f"{error.remedy}. What was finished is kept: the same command goes on from there" + longer,
        )


def _time_of_day(seconds_ago: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(time.time() - seconds_ago))


def _words(error: StageError | UnreachableError) -> str:
    return error.cause if isinstance(error, StageError) else f"{error.why} ({error.found})"
