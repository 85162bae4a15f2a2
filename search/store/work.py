"""Checkpoints of interrupted stages, copied to the object store, so that another machine goes on with them.

    work/<stage>/<key>/state.json         what the checkpoint is made of: its files with their hashes
    work/<stage>/<key>/<sha256>/<name>    its files

The state is put last, so that it always names files that are there. It has a token, which is noted beside the
local copy: where the two are the same, nobody else has gone on with it, and what is here is at least as late.
Copying is done by a thread, and whatever goes wrong with it is told once: it ends no training.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...profiles.files import sha256_of
from ...profiles.passwords import without_passwords
from .objects import Objects
from .trouble import removed

WORK = "work"
_STATE, _NOTE = "state.json", ".kept"
_WAIT_S = 60.0
"""For so long the end of an interrupted stage waits for its last checkpoint to be copied."""
_FORGET_S = 3.0
_log = logging.getLogger(__name__)
Aside = Callable[[str, str], AbstractContextManager[Path]]


@dataclass(frozen=True, kw_only=True)
class _State:
    """A checkpoint in the object store: hashes by the names of its files."""

    token: str
    files: dict[str, str]


class WorkCopies:
    """The copies of checkpoints. `aside(stage, key)` is a folder of the local store for what is on its way,
    which nobody sweeps meanwhile."""

    def __init__(self, objects: Objects, aside: Aside) -> None:
        self._objects, self._aside = objects, aside
        self._guard = threading.Lock()
        self._wanted: dict[tuple[str, str], Path] = {}
        self._busy: tuple[str, str] | None = None
        self._thread: threading.Thread | None = None
        self._told = False

    def fetch(self, stage: str, key: str, folder: Path) -> None:
        """Bring what another machine has come to into the place of `folder`."""
        with self._forgiving("fetched"):
            state = self._state(stage, key)
            if state is None or state.token == _noted(folder):
                return
            with self._aside(stage, key) as aside:
                for name, digest in state.files.items():
                    if not self._fetched(aside, f"{WORK}/{stage}/{key}/{digest}/{name}", name, digest):
                        _log.warning("store: the checkpoint of %s %s is damaged: not used", stage, key[:12])
                        return
                (aside / _NOTE).write_text(state.token)
                removed(folder)
                folder.parent.mkdir(exist_ok=True)
                aside.rename(folder)

    def keep(self, stage: str, key: str, folder: Path) -> None:
        """Copy what is there now, in a moment; of several checkpoints that wait, only the last is copied."""
        with self._guard:
            self._wanted[stage, key] = folder
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()

    def settle(self, stage: str, key: str) -> None:
        """Wait until what is to be copied is copied, but not for ever, and not for a store that is silent."""
        until = time.monotonic() + _WAIT_S
        while time.monotonic() < until and not self._objects.is_silent:
            with self._guard:
                if (stage, key) not in self._wanted and self._busy != (stage, key):
                    return
            time.sleep(0.02)

    def forget(self, stage: str, key: str) -> None:
        """Remove the copy: the entry is there."""
        with self._guard:
            self._wanted.pop((stage, key), None)
        self.settle(stage, key)
        objects = self._objects.patient(_FORGET_S)
        with self._forgiving("removed"):
            names = sorted(objects.below(f"{WORK}/{stage}/{key}"), key=lambda name: name != _STATE)
            for name in names:
                objects.remove(f"{WORK}/{stage}/{key}/{name}")

    def _run(self) -> None:
        while True:
            with self._guard:
                if not self._wanted:
                    self._thread = None
                    return
                (stage, key), folder = self._wanted.popitem()
                self._busy = (stage, key)
            with self._forgiving("copied"):
                self._copy(stage, key, folder)
            with self._guard:
                self._busy = None

    def _copy(self, stage: str, key: str, folder: Path) -> None:
        place, before = f"{WORK}/{stage}/{key}", self._state(stage, key)
        known = before.files if before is not None else {}
        with self._aside(stage, key) as aside:
            # A copy of its own: the training writes the next one meanwhile.
            files = {}
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = path.relative_to(folder).as_posix()
                if not path.name.startswith("."):
                    copy = aside / name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
                    with copy.open("rb") as file:
                        files[name] = sha256_of(file)
            if files == known:
                return
            for name, digest in files.items():
                if known.get(name) != digest:
                    self._objects.upload(aside / name, f"{place}/{digest}/{name}")
        state = _State(token=uuid.uuid4().hex, files=files)
        self._objects.write(f"{place}/{_STATE}", json.dumps({"token": state.token, "files": files}).encode())
        with suppress(OSError):
            (folder / _NOTE).write_text(state.token)
        for name, digest in known.items():
            if files.get(name) != digest:
                self._objects.remove(f"{place}/{digest}/{name}")

    def _state(self, stage: str, key: str) -> _State | None:
        text = self._objects.read(f"{WORK}/{stage}/{key}/{_STATE}")
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            plain: dict[str, Any] = json.loads(text or b"")
            files = {str(name): str(digest) for name, digest in plain["files"].items()}
            if all(is_inside(name) for name in files):
                return _State(token=str(plain["token"]), files=files)
        return None

    def _fetched(self, aside: Path, source: str, name: str, digest: str) -> bool:
        path = aside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._objects.download(source, path):
            return False
        with path.open("rb") as file:
            return sha256_of(file) == digest

    @contextmanager
    def _forgiving(self, done: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self._told:
                words = without_passwords(str(error))
                _log.warning("store: a checkpoint could not be %s, the work goes on: %s", done, words)
            self._told = True


def _noted(folder: Path) -> str:
    with suppress(OSError, ValueError):
        return (folder / _NOTE).read_text()
    return ""


def is_inside(name: str) -> bool:
    """Whether a name of a stranger's stays in its folder."""
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts) and "\0" not in name and "\\" not in name
