"""The command in a process that has loaded its modules already: hundreds of runs in the time of some.

`Warm` starts a server (this module as a program) that imports them once and forks for each command. What the
fork does is what the command does: `paretune.cli.main`, in a session of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

_LEFT_OUT = (
    "paretune.backends.",
    "paretune.tests",
    "paretune.benchmarks",
    "paretune.setup",
    "paretune.build",
)


class Job:
    """A command at work in the server's fork, with the little of `psutil.Popen` that kills need."""

    def __init__(self, server: Warm, pid: int) -> None:
        self.pid, self._server, self.returncode = pid, server, None

    def poll(self) -> int | None:
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> int | None:
        if self.returncode is None:
            line = self._server.line(timeout)
            self.returncode = None if line is None else int(line)
        return self.returncode

    def is_running(self) -> bool:
        return self.poll() is None

    def children(self, recursive: bool = False) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=recursive)
        return []


class Warm:
    """The server; one command at a time. `env` is added to its environment before anything is loaded."""

    def __init__(self, env: Mapping[str, str] = {}) -> None:
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **env}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables
        )
        self._pending = b""

    def start(self, arguments: list[str], cwd: Path, log: Path, env: Mapping[str, str] = {}) -> Job:
        asked = {"arguments": arguments, "cwd": str(cwd), "log": str(log), "env": dict(env)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        pid = self.line(120)
        if pid is None:
            raise TimeoutError("the server does not start")
        return Job(self, int(pid))

    def line(self, timeout: float | None) -> bytes | None:
        """The next line of the server's; None where it does not come in time."""
        end = None if timeout is None else time.monotonic() + timeout
        assert self._process.stdout is not None
        while b"\n" not in self._pending:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._process.stdout], [], [], left)[0]:
                return None
            more = os.read(self._process.stdout.fileno(), 4096)
            if not more:
                raise RuntimeError(f"the server ended with {self._process.wait()}")
            self._pending += more
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def _load() -> None:
    import paretune

    for module in pkgutil.walk_packages(paretune.__path__, "paretune.", onerror=lambda name: None):
        if not module.name.startswith(_LEFT_OUT) and ".vendor" not in module.name:
            with contextlib.suppress(Exception):
                importlib.import_module(module.name)


def _fork(asked: Mapping[str, object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.chdir(str(asked["cwd"]))
    os.environ.update(asked["env"])
    with contextlib.suppress(AttributeError):  # the shim, where it was loaded before this process
        ctypes.CDLL(None).fault_arm()
    log = os.open(str(asked["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, of in ((null, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, of)
    sys.argv = ["paretune", *asked["arguments"]]
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    from paretune.cli import main

    status = 0
    try:
        main()
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


def _serve() -> None:
    _load()
    out = os.dup(1)
    os.dup2(2, 1)
    for line in sys.stdin:
        pid = _fork(json.loads(line))
        os.write(out, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(out, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    _serve()
