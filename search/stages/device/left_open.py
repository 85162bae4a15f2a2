"""The runner in which an artifact was measured, left open for what is asked of the same artifact next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ....backends.runner.client import RunnerClient
from ....backends.runner.replies import Opened
from ....profiles.errors import StageError
from ...record.setting import Setting

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _Left:
    artifact: str
    how: Setting
    runner: RunnerClient
    first_ms: float


class LeftOpen:
    """At most one such runner. It is asked for outputs alone: what is measured has a fresh process."""

    def __init__(self) -> None:
        self._left: _Left | None = None

    def leave(self, artifact: str, how: Setting, runner: RunnerClient, first_ms: float) -> None:
        """Keep the runner that has an artifact open, and has first run it in `first_ms`, until it is asked,
        or closed."""
        self.close()
        self._left = _Left(artifact=artifact, how=how, runner=runner, first_ms=first_ms)

    def asked(
        self,
        artifact: str,
        how: Setting,
        ask: Callable[[RunnerClient, float], T],
        fresh: Callable[[], tuple[RunnerClient, Opened, float]],
    ) -> T:
        """What `ask` gets from the runner that has the artifact open, or from a `fresh` one; either ends with
        the answer. Whatever fails in the former is asked again of a fresh one: no question's crash, hang or
        leak is another's.

        Raises:
            StageError: a fresh one failed, or the line to the device was lost.
        """
        left = self._taken(artifact, how)
        if left is not None:
            try:
                with left.runner:
                    return ask(left.runner, left.first_ms)
            except StageError as error:
                if error.device and error.outside:
                    raise
        runner, _, first_ms = fresh()
        with runner:
            return ask(runner, first_ms)

    def _taken(self, artifact: str, how: Setting) -> _Left | None:
        left = self._left
        if left is None or (left.artifact, left.how) != (artifact, how) or left.runner.ended:
            self.close()
            return None
        self._left = None
        return left

    def abandon(self) -> None:
        """Drop a runner on a device whose line was lost."""
        if self._left is not None:
            self._left.runner.abandon()
        self.close()

    def close(self) -> None:
        """End the runner that is left."""
        left, self._left = self._left, None
        if left is not None:
            left.runner.close()
