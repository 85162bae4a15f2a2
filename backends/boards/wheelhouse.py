"""Wheels for another machine's Python, fetched by pip and kept: a second board of the kind costs nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ...profiles.cache import cache_folder
from ...profiles.errors import ParetuneError, UserError
from ...profiles.files import folder_aside, says_full, sha256_of, write_whole
from ...profiles.words import one_line
from .board import Python

_OLDEST_GLIBC, _NEWEST_OF_OLD = 17, (2, 17)
_PIP_S = 1800.0
_PIP = ("-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-input", "--retries", "1")
_LAST_LINES = 3


class NoWheelsError(ParetuneError):
    """There are none, or they cannot be fetched; what pip said last."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What wheels have to be for: "aarch64", (3, 13), "cp313", and glibc's version."""

    machine: str
    python: tuple[int, int]
    abi: str
    glibc: tuple[int, int]

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.machine}, Python {self.python[0]}.{self.python[1]}"

    @property
    def options(self) -> list[str]:
        """How pip is told."""
        newest = self.glibc[1] if self.glibc[0] == 2 else 99
        platforms = [f"manylinux_2_{minor}" for minor in range(newest, 4, -1)]
        # The names before glibc's version was one of their parts.
        platforms += ["manylinux2014"] * (newest >= 17)
        platforms += ["manylinux2010", "manylinux1"] * (self.machine == "x86_64")
        told = [part for one in platforms for part in ("--platform", f"{one}_{self.machine}")]
        version = f"{self.python[0]}.{self.python[1]}"
        return [*told, "--implementation", "cp", "--python-version", version, "--abi", self.abi]


def target_of(python: Python, machine: str) -> Target:
    """The target that a board's Python is."""
    major, minor = python.version[:2]
    threading = "t" if python.soabi.split("-")[1:2] == [f"{major}{minor}t"] else ""
    numbers = [int(part) for part in python.libc.partition(" ")[2].split(".")[:2] if part.isdigit()]
    glibc = (numbers[0], numbers[1]) if len(numbers) == 2 else _NEWEST_OF_OLD
    return Target(machine=machine, python=(major, minor), abi=f"cp{major}{minor}{threading}", glibc=glibc)


@dataclass(frozen=True, kw_only=True)
class Wheelhouse:
    """Wheels for one target, kept in a folder; from `given` alone where that folder is named."""

    target: Target
    cache: Path
    given: Path | None = None

    def get(self, wanted: Sequence[str]) -> tuple[Path, ...]:
        """The wheels of these requirements, and of all that they need.

        Raises:
            NoWheelsError: there are none.
            UserError: pip is not installed here, or nothing can be kept.
        """
        key = hashlib.sha256(json.dumps([*sorted(wanted), *self.target.options]).encode()).hexdigest()[:16]
        index = self.cache / f"{key}.json"
        if self.given is None and (known := self._known(index)):
            return known
        with folder_aside(self.cache, key) as aside:
            self._download(wanted, aside)
            kept = [self._keep(path) for path in sorted(aside.glob("*.whl"))]
        if self.given is None:
            write_whole(index, json.dumps({path.name: _digest(path) for path in kept}))
        return tuple(kept)

    def _known(self, index: Path) -> tuple[Path, ...]:
        """What was fetched before, if all of it is still as it was."""
        try:
            said = json.loads(index.read_text(encoding="utf-8"))
            paths = {self.cache / Path(str(name)).name: digest for name, digest in dict(said).items()}
            return tuple(paths) if all(_digest(path) == digest for path, digest in paths.items()) else ()
        except (OSError, ValueError, TypeError):
            return ()

    def _keep(self, wheel: Path) -> Path:
        kept = self.cache / wheel.name
        wheel.replace(kept)
        return kept

    def _download(self, wanted: Sequence[str], into: Path) -> None:
        where = ["--no-index", "--find-links", str(self.given.resolve())] if self.given else []
        command = [sys.executable, *_PIP, *where, "--only-binary", ":all:", *self.target.options]
        try:
            done = subprocess.run(
                [*command, "-d", str(into), "--", *wanted],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PIP_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NoWheelsError(f"pip did not end within {_PIP_S / 60:.0f} min") from error
        if done.returncode:
            if says_full(NoWheelsError(done.stderr)):
                raise _not_kept(into.parent, os.strerror(errno.ENOSPC))
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise NoWheelsError(one_line("; ".join(lines[-_LAST_LINES:]) or "pip failed", 400))


def check_pip() -> None:
    """Whether this Python has pip.

    Raises:
        UserError: it has not.
    """
    if find_spec("pip") is None:
        raise UserError(
            "wheels for a board are fetched by pip, which this Python does not have",
            found=sys.executable,
            remedy="`python -m ensurepip` installs it",
        )


def default_cache() -> Path:
    """The folder in which archives for boards are kept, made where it is missing.

    Raises:
        UserError: it cannot be made.
    """
    base = cache_folder()
    folder = (base or Path("~")) / "boards"
    try:
        if base is None:
            raise OSError("no home directory is known")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_kept(folder, error.strerror or str(error)) from error
    return folder


def _not_kept(folder: Path, why: str) -> UserError:
    return UserError(
        "what a board is sent cannot be kept here",
        place=str(folder),
        found=why,
        remedy="make that folder writable and see that there is room, or name another one by XDG_CACHE_HOME",
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return sha256_of(file)
