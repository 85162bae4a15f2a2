"""The folder of a nightly job: a folder for each night, whole or not there, and what keeps two nights apart.

A night's number orders it. Each `night.json` stands for itself: one that is damaged costs that night, and no
other.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import folder_aside, make_folder, open_regular, sync, sync_tree, write_whole
from ...profiles.locks import locked
from .night import NIGHT, Night, NightStatus

RUNS, NIGHT_FILE, BUNDLE, SOURCES, PAGE = "runs", "night.json", "bundle", "code", "page.html"
_LOCK, _UNDER_WAY, _SPARE = ".lock", "under-way.json", ".spare"
_SPARE_BYTES = 4 * 2**20
_MOST_BYTES = 2**24
_FOLDER = re.compile(r"night-(\d{4,9})")
_LOOK_S = 1.0
_LEADS = """<!doctype html>
<meta charset="utf-8"><title>The last night</title>
<meta http-equiv="refresh" content="0; url={there}"><a href="{there}">The last night</a>
"""


@dataclass(frozen=True, kw_only=True)
class NightHistory:
    """The nights that can be read, the oldest first, and the numbers of those that cannot; `pages` has the
    numbers of those that have their page."""

    nights: tuple[Night, ...] = ()
    damaged: tuple[int, ...] = ()
    pages: frozenset[int] = frozenset()

    @property
    def last(self) -> Night | None:
        """The night before."""
        return self.nights[-1] if self.nights else None

    @property
    def last_good(self) -> Night | None:
        """The last one that found nothing wrong, or whose regression was accepted."""
        return next((n for n in reversed(self.nights) if n.status is NightStatus.GOOD), None)

    def of(self, number: int) -> Night | None:
        """The night of that number."""
        return next((night for night in self.nights if night.number == number), None)


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """A night at work, as it said when it began."""

    number: int
    began: str = ""
    pid: int = 0


@dataclass(frozen=True)
class NightsFolder:
    """The folder of a nightly job. Only the process that holds its lock writes there."""

    path: Path
    clock: Callable[[], float] = field(default=time.monotonic, compare=False)

    # -- one night at a time ----------------------------------------------------------------------

    @contextmanager
    def at_work(self, wait_s: float = 0.0, meanwhile: Callable[[], None] = lambda: None) -> Iterator[bool]:
        """Hold the lock, waiting so long for another night; the kernel frees it however this process ends.
        False: the other one is still at work.

        Raises:
            UserError: the folder cannot be made or written.
        """
        end = self.clock() + wait_s
        while True:
            with self._lock() as free:
                if free:
                    yield True
                    return
            if self.clock() >= end:
                yield False
                return
            meanwhile()
            time.sleep(min(_LOOK_S, max(0.0, end - self.clock())))

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        with ExitStack() as stack:
            try:
                make_folder(self.path)
                free = stack.enter_context(locked(self.path / _LOCK, wait=False))
            except OSError as error:
                raise _not_writable(self.path, error) from error
            yield free

    @property
    def under_way(self) -> UnderWay | None:
        """The night that is at work, or that was killed."""
        said = _plain(self.path / _UNDER_WAY)
        number, pid = said.get("number"), said.get("pid")
        if type(number) is not int or number < 1:
            return None
        return UnderWay(number=number, began=str(said.get("began", "")), pid=pid if type(pid) is int else 0)

    def begin(self, number: int, began: str) -> None:
        """Say that a night is at work, and set space aside in which it can say its end on a full disk."""
        with suppress(OSError):  # a night on a full disk tells that at its end
            self._set_space_aside()
            write_whole(
                self.path / _UNDER_WAY, json.dumps({"number": number, "began": began, "pid": os.getpid()})
            )

    def ended(self) -> None:
        """No night is at work any more."""
        with suppress(OSError):
            (self.path / _UNDER_WAY).unlink(missing_ok=True)

    def give_space(self) -> None:
        """Give up the space that was set aside."""
        with suppress(OSError):
            (self.path / _SPARE).unlink(missing_ok=True)

    def _set_space_aside(self) -> None:
        spare = self.path / _SPARE
        if not spare.is_file() or spare.stat().st_size < _SPARE_BYTES:
            try:
                spare.write_bytes(os.urandom(_SPARE_BYTES))  # zeros take no space on some disks
            except OSError:
                self.give_space()
                raise

    # -- nights -----------------------------------------------------------------------------------

    def folder(self, number: int) -> Path:
        """The folder of a night."""
        return self.path / f"night-{number:04d}"

    def numbers(self) -> tuple[int, ...]:
        """The numbers of all nights that have a folder, in order."""
        with suppress(OSError):
            found = (_FOLDER.fullmatch(path.name) for path in self.path.iterdir() if path.is_dir())
            return tuple(sorted(int(one[1]) for one in found if one))
        return ()

    def read(self) -> NightHistory:
        """All nights."""
        found = {number: self._night(number) for number in self.numbers()}
        return NightHistory(
            nights=tuple(night for night in found.values() if night is not None),
            damaged=tuple(number for number, night in found.items() if night is None),
            pages=frozenset(number for number in found if (self.folder(number) / PAGE).is_file()),
        )

    def _night(self, number: int) -> Night | None:
        try:
            night = NIGHT.validate_json(_content(self.folder(number) / NIGHT_FILE))
        except (OSError, ValueError, RecursionError):
            return None
        return night if night.number == number else None

    def keep(self, night: Night, texts: Mapping[str, str], bundle: Path | None = None) -> Path:
        """Write the folder of a night, whole or not at all: its record, files by their names, and a copy of
        a bundle.

        Raises:
            OSError: it cannot be written.
        """
        into = self.folder(night.number)
        with folder_aside(self.path, into.name) as aside:
            for name, text in {**texts, NIGHT_FILE: _written(night)}.items():
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(aside / name, text)
            if bundle is not None:
                shutil.copytree(bundle, aside / BUNDLE)
            aside.chmod(0o755)
            sync_tree(aside)
            aside.replace(into)
            sync(self.path)
        return into

    def point_to(self, page: Path) -> None:
        """Have `index.html` lead to a page."""
        there = page.relative_to(self.path).as_posix()
        with suppress(OSError):
            write_whole(self.path / "index.html", _LEADS.format(there=there))


def _written(night: Night) -> str:
    return json.dumps(NIGHT.dump_python(night, mode="json"), indent=1, ensure_ascii=False)


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(_MOST_BYTES)


def _plain(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_content(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _not_writable(path: Path, error: OSError) -> UserError:
    return UserError(
        "the folder of the nights cannot be written",
        place=str(path),
        found=f"{error.filename or path}: {error.strerror or error}",
        remedy="free some space, make it writable, or name another one with --into",
    )
