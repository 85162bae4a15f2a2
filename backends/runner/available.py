"""Which runtimes can be used here, each asked in a process of its own: loading one may crash or hang."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ...profiles.errors import ParetuneError, StageError, UserError
from .client import Guard, RunnerClient
from .launch import LocalLaunch


@dataclass(frozen=True, kw_only=True)
class RuntimeHere:
    """What was found of one backend. `loads`: this process may load it too, since that ended no other.

    `version`, `reason` and `install` are those of `Availability`.
    """

    loads: bool
    installed: bool = False
    version: str = ""
    reason: str = ""
    install: str = ""


def find_runtimes(names: Sequence[str], seconds: float) -> dict[str, RuntimeHere]:
    """Ask all of them at once; one that gives no answer within so many seconds cannot be used."""
    pool = ThreadPoolExecutor(max_workers=max(1, len(names)))
    try:
        return dict(zip(names, pool.map(lambda name: _find(name, seconds), names), strict=True))
    finally:
        pool.shutdown(wait=False)  # an interrupt does not wait for one that hangs


def _find(name: str, seconds: float) -> RuntimeHere:
    try:
        with RunnerClient(LocalLaunch(), guard=Guard(open_s=seconds)) as runner:
            found = runner.available(name)
    except ParetuneError as error:
        cause = error.cause if isinstance(error, StageError) else str(error)
        return RuntimeHere(loads=isinstance(error, UserError), reason=cause)
    return RuntimeHere(
        loads=True,
        installed=found.installed,
        version=found.version,
        reason=found.reason,
        install=found.install,
    )
