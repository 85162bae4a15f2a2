"""The lock on a key, which whoever makes its entry holds and others wait for."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ...profiles.locks import locked
from .trouble import writing
from .uses import lock_of

Waited = Callable[[float], None]
"""Told often in a wait how many seconds passed since the last time; what it raises ends the wait."""
_PAUSES_S = (0.01, 0.5)
_log = logging.getLogger(__name__)


def unheeded(seconds: float) -> None:
    """Nobody asks how long a wait is."""


@contextmanager
def key_lock(
    root: Path, stage: str, key: str, *, wait: bool = True, waited: Waited = unheeded
) -> Iterator[bool]:
    """Hold the key's lock. Yields False at once if `wait` is false and another holds it.

    Raises:
        UserError: the store at `root` cannot be written.
    """
    path, pause = lock_of(root, stage, key), _PAUSES_S[0]
    with ExitStack() as stack:
        with writing(root):
            path.parent.mkdir(exist_ok=True)
            free = stack.enter_context(locked(path, wait=False))
        if wait and not free:
            _log.info("store: another process is making %s %s, waiting for it", stage, key[:12])
            while not free:
                stack.close()
                started = time.monotonic()
                time.sleep(pause)
                pause = min(2 * pause, _PAUSES_S[1])
                waited(time.monotonic() - started)
                with writing(root):
                    free = stack.enter_context(locked(path, wait=False))
            with suppress(OSError):  # opened, a folder of a network disk shows what others have just made
                os.close(os.open(root / stage, os.O_RDONLY))
        yield free
