"""Files between this machine and a runner's, in chunks that are acknowledged: however slow the line and large
the file, each request is short, and little of it lies in memory on either side."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..contract.backend import Feed
from .reading import Reply, verbatim

LEAST_CHUNK, FIRST_CHUNK, MOST_CHUNK = 2**16, 2**18, 2**24
_QUICK_S, _SLOW_S = 1.0, 5.0
"""Chunks that take less are made larger, those that take more smaller."""


class Ask(Protocol):
    """`RunnerClient.ask`."""

    def __call__(
        self,
        operation: str,
        seconds: float,
        body: Mapping[str, Any] | None = None,
        arrays: Feed | None = None,
        *,
        most: int = 0,
    ) -> Reply:
        """See there."""


class Transfer:
    """Sends each file once. `shares_files`: the runner sees this machine's. Each chunk has `seconds`."""

    def __init__(self, ask: Ask, seconds: float, *, shares_files: bool) -> None:
        self._ask, self._seconds, self._shares_files = ask, seconds, shares_files
        self._sent: dict[Path, str] = {}
        self._chunk = FIRST_CHUNK

    def put(self, path: Path, beside: str = "") -> str:
        """Make a file of this machine readable for the runner, in the folder `beside` of its machine or one
        of its own; its path there."""
        if self._shares_files:
            return str(path.resolve())
        if path not in self._sent:
            self._sent[path] = self._put(path, beside)
        return self._sent[path]

    def put_folder(self, folder: Path) -> str:
        """As `put`, for the files that lie in a folder; "" where there are none."""
        if self._shares_files:
            return str(folder.resolve())
        there = ""
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            there = os.path.dirname(self.put(path, there))  # noqa: PTH120 - a path of another machine
        return there

    def _put(self, path: Path, beside: str) -> str:
        body = {"name": path.name, "into": beside}
        with path.open("rb") as file:
            there = self._sent_chunk(file.read(self._chunk), body)
            while data := file.read(self._chunk):
                self._sent_chunk(data, {"path": there, "offset": file.tell() - len(data)})
        return there

    def _sent_chunk(self, data: bytes, body: Mapping[str, Any]) -> str:
        arrays, began = {"bytes": np.frombuffer(data, dtype=np.uint8)}, time.monotonic()
        there = self._ask("put", self._seconds, body, arrays).read("path", verbatim)
        self._learn(began)
        return there

    def fetch(self, there: str, into: Path, most: int) -> None:
        """Write a file of the runner's machine, or its first `most` bytes, to the path `into` here."""
        with into.open("wb") as file:
            while (left := most - file.tell()) > 0:
                began, wanted = time.monotonic(), min(self._chunk, left)
                body = {"path": there, "offset": file.tell(), "bytes": wanted}
                data = self._ask("fetch", self._seconds, body, most=wanted).array("bytes")
                if not data.nbytes:
                    break
                data.tofile(file)
                self._learn(began)

    def _learn(self, began: float) -> None:
        took = time.monotonic() - began
        if took < _QUICK_S:
            self._chunk = min(MOST_CHUNK, 2 * self._chunk)
        elif took > _SLOW_S:
            self._chunk = max(LEAST_CHUNK, self._chunk // 2)
