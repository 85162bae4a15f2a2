"""Processes of tools: with an end, on a core of their own where asked for, and told how far they are."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.command import tell

TELL_EVERY_S = 30.0
_live: set[subprocess.Popen[bytes]] = set()
_stopped: set[subprocess.Popen[bytes]] = set()


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Keep this thread, and so all processes that it starts, on one core (None: wherever they like)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_tool(
    command: Sequence[str | Path], folder: Path, seconds: float, *, title: str = "", **environ: str
) -> list[str]:
    """Run a tool; what it said last, where it failed or had to be killed.

    Raises:
        KeyboardInterrupt: `end_all` was called meanwhile, so that it is no result.
    """
    log = folder / "output.log"
    # A thread per library for everyone: the machine is small, and candidates are measured on one.
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environ}
    with log.open("wb") as file:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        _live.add(process)
        try:
            code = _ended(process, seconds, title or folder.name, log)
        finally:
            _end(process)
            _live.discard(process)
    if process in _stopped:
        raise KeyboardInterrupt
    if code is None:
        return [f"killed after {seconds:.0f} s: {last_words(log)}"]
    # Ours ends with 2 or 3 where limits are not met; there are none here.
    return [] if code == 0 else [f"exit status {code}: {last_words(log)}"]


def _ended(process: subprocess.Popen[bytes], seconds: float, title: str, log: Path) -> int | None:
    begun = time.monotonic()
    while (left := begun + seconds - time.monotonic()) > 0:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(left, TELL_EVERY_S))
        lines = last_words(log).strip().splitlines() or [""]
        tell(f"{title}: {time.monotonic() - begun:.0f} s; {lines[-1][:100]}")
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it left running as well
    process.wait()


def end_all() -> None:
    """End every tool that is running, in whichever thread."""
    _stopped.update(_live)
    for process in list(_live):
        _end(process)


def last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:] if log.is_file() else ""
