"""What keeps a board busy waits until nobody measures there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from ...profiles.errors import StageError, UserError
from ..runner.launch import SshLaunch
from ..runner.leased import DeviceLease
from .steps import Steps

LONGEST_S = 200.0
"""What receives a delivery there gives up after 300 s without a word."""


class _BusyError(Exception):
    """Others measure there for longer than can be waited."""


@contextmanager
def undisturbed(launch: SshLaunch, steps: Steps, longest_s: float = LONGEST_S) -> Iterator[None]:
    """Have the board's lease for the length of a block. Where it has no runner yet that could hold it, it is
    not used by whoever sets it up."""

    def waits(text: str, seconds: float) -> None:
        steps.stage(text)
        if seconds > longest_s:
            steps.note(f"{text}: it is not waited for any longer, and may measure beside this setup")
            raise _BusyError

    lease = DeviceLease(launch, study="devices setup", tell=waits)
    with closing(lease), ExitStack() as stack:
        with suppress(UserError, StageError, _BusyError):
            stack.enter_context(lease.held())
        yield
