"""A scheduler and workers by Dask's own commands, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from benchmarks.faults.site import end


class DaskCluster:
    """On a port of loopback; what is started writes into `folder`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True)
        self.folder, self._environment = folder, dict(environment)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._head: psutil.Popen | None = None
        self._nannies: list[psutil.Popen] = []
        self._count = 0

    def up(self, count: int) -> None:
        """A scheduler, and so many workers."""
        self.head()
        for number in range(count):
            self.worker(f"w{number + 1}")

    def head(self) -> None:
        self._head = self._started("scheduler", "--port", str(self.port))

    def worker(self, name: str, **environment: str) -> None:
        options = ("--nthreads", "1", "--name", name, "--local-directory", str(self.folder / name))
        self._nannies.append(self._started("worker", self.address, *options, **environment))

    def _started(self, *words: str, **environment: str) -> psutil.Popen:
        command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
        variables = {**os.environ, **self._environment, **environment}
        self._count += 1
        with (self.folder / f"{self._count}.log").open("w") as log:
            return psutil.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)

    def workers(self) -> list[psutil.Process]:
        """The processes that evaluate."""
        return [child for one in self._nannies for child in evaluating(one)]

    def kill_head(self) -> None:
        """Its workers end by themselves."""
        end(self._head)
        deadline = time.monotonic() + 60
        while any(one.poll() is None for one in self._nannies) and time.monotonic() < deadline:
            time.sleep(0.1)
        self._nannies.clear()

    def close(self) -> None:
        for process in (self._head, *self._nannies):
            end(process)


def evaluating(process: psutil.Process) -> list[psutil.Process]:
    """The workers below a process, as Dask starts them."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it has just ended
                if "--multiprocessing-fork" in child.cmdline():
                    found.append(child)
    return found
