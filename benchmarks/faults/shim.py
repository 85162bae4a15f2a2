"""Disks that fail: `shim.c` built where it is needed, and what a power cut leaves by what it remembered."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")


def compiler() -> str | None:
    """The C compiler, if there is one: without it there are no such faults."""
    return shutil.which("gcc") or shutil.which("cc")


@functools.cache
def built() -> Path:
    """The shim as a library."""
    found = compiler()
    if found is None:
        raise FileNotFoundError("a C compiler is needed for faults of disks: apt-get install gcc")
    into = Path(tempfile.mkdtemp(prefix="paretune-shim-")) / "shim.so"
    subprocess.run([found, "-O1", "-shared", "-fPIC", "-o", into, SOURCE, "-ldl", "-lpthread"], check=True)
    return into


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(built()))


class Remembered:
    """What was on the disk for certain at each moment of what runs below `root`."""

    def __init__(self, root: Path, kept: Path) -> None:
        self.root, self.kept = root, kept
        kept.mkdir(parents=True)
        self.environment = {
            "FAULT_ROOT": str(root),
            "FAULT_SYNCED": str(kept),
            "FAULT_STATE": f"{kept}.state",
        }
        self._top = self._begin()

    def _begin(self) -> str:
        """Whatever lies there before is on the disk."""
        os.environ["FAULT_SYNCED"] = str(self.kept)
        library = _library()
        library.fault_arm()
        del os.environ["FAULT_SYNCED"]
        key = ctypes.create_string_buffer(80)
        for path in [*self.root.rglob("*"), self.root]:
            if path.is_dir() or path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                library.fault_keep(descriptor, ctypes.c_long(0))
                library.fault_key(descriptor, key)
                os.close(descriptor)
        library.fault_arm()
        return key.value.decode()

    @functools.cached_property
    def _versions(self) -> Mapping[str, list[int]]:
        """Key of each file and folder -> the moments at which it was synced."""
        found = defaultdict(list)
        for path in self.kept.iterdir():
            number, _, key = path.name.partition(".")
            if number.isdecimal():
                found[key].append(int(number))
        return {key: sorted(numbers) for key, numbers in found.items()}

    @functools.cached_property
    def syncs(self) -> int:
        return max(number for numbers in self._versions.values() for number in numbers)

    def said_by(self, number: int) -> int:
        """How many bytes had been said before the next sync after this one; a large number after the last."""
        said = dict(map(int, line.split()) for line in (self.kept / "said").read_text().splitlines())
        later = [size for at, size in said.items() if at > number]
        return min(later, default=2**40)

    def after(self, number: int, into: Path) -> None:
        """Build what a power cut after that sync leaves, if nothing else came to the disk by itself."""
        self._folder(self._top, number, into)

    def _folder(self, key: str, number: int, into: Path) -> None:
        into.mkdir()
        for line in self._at(key, number).decode(errors="surrogateescape").splitlines():
            own, kind, name = line.split(" ", 2)
            if kind == "folder":
                self._folder(own, number, into / name)
            elif kind == "file":
                (into / name).write_bytes(self._at(own, number))

    def _at(self, key: str, number: int) -> bytes:
        """What was synced last; a file that never was is empty, and so is a folder."""
        numbers = [at for at in self._versions.get(key, ()) if at <= number]
        return (self.kept / f"{numbers[-1]}.{key}").read_bytes() if numbers else b""


@dataclass(frozen=True)
class Fault:
    """One fault of a disk for what runs below `root`, as environment."""

    root: Path
    state: Path

    def full(self, at: int, *, stays: bool) -> dict[str, str]:
        """The call of that number that takes room fails, with all after it where it `stays`; -1: none."""
        self.state.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        return {**self._common, "FAULT_FAIL_AT": str(at), "FAULT_FAIL_STAYS": str(int(stays))}

    def network(self, how: str) -> dict[str, str]:
        return {**self._common, "FAULT_NFS": how}

    @property
    def _common(self) -> dict[str, str]:
        return {"FAULT_ROOT": str(self.root), "FAULT_STATE": str(self.state)}

    @property
    def log(self) -> Path:
        return self.state.with_name(self.state.name + ".log")

    def counted(self) -> int:
        """How many calls took room."""
        return int.from_bytes(self.state.read_bytes()[:8], "little")
