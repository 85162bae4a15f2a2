"""What a board is, asked of its own Python before anything is copied there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...profiles.devices.gpus import LISTING
from ...profiles.devices.machine import Machine, read_machine
from ...profiles.errors import UserError
from ..registry import packages
from ..runner.launch import SshLaunch
from ..runner.reading import Reply, flag, list_of, map_of, mapping, maybe, number, text, verbatim, whole
from .far import FarProgram

_PATH = re.compile(r"(proc|sys)(/[A-Za-z0-9_.@:,+-]+)+")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder on a board, as it is or as the nearest one above it will let it be. `executable`: libraries
    that lie there can be loaded."""

    path: str
    nearest: str
    is_folder: bool
    writable: bool
    read_only: bool
    executable: bool
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Python:
    """The interpreter that a profile names. `libc` is "glibc 2.41", or "" for another C library."""

    version: tuple[int, ...]
    implementation: str
    tag: str
    soabi: str
    bits: int
    executable: str
    libc: str

    @property
    def title(self) -> str:
        """ "3.13.5"."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True, kw_only=True)
class Board:
    """Who answered. `files` are those of /proc and /sys that tell of processor and memory, `packages` what
    its Python has installed, `gpus` what nvidia-smi lists, `prepared` what the last setup left there."""

    python: Python
    system: str
    machine: str
    host: str
    cpus: tuple[int, ...]
    files: Mapping[str, str] = field(repr=False)
    packages: Mapping[str, str]
    gpus: str
    workdir: Folder
    temporary: Folder
    prepared: str | None
    clock: float

    def environment(self) -> dict[str, object]:
        """As a runner there would tell it, as far as it is known without one."""
        told: dict[str, object] = {
            "machine": self.machine,
            "bits": self.python.bits,
            "affinity": list(self.cpus),
        }
        if not {"proc/cpuinfo", "proc/meminfo"} <= set(self.files):
            return told
        found = self.described()
        return {
            **told,
            "cores": found.threads,
            "instructions": list(found.instruction_sets),
            "memory_bytes": found.memory_bytes,
            "processor": found.model,
        }

    def described(self) -> Machine:
        """Processor, usable cores, memory and caches, as `read_machine` finds them on this one.

        Raises:
            UserError: what the board shows of its kernel means nothing.
        """
        with tempfile.TemporaryDirectory(prefix="paretune-board-") as folder:
            root = Path(folder)
            for name, content in self.files.items():
                if _PATH.fullmatch(name) and ".." not in name.split("/"):
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    (root / name).write_text(content, encoding="utf-8", errors="replace")
            try:
                return read_machine(root, self.machine, frozenset(self.cpus))
            except (ValueError, IndexError, OSError) as error:
                raise UserError(
                    "what the board shows of its kernel (/proc and /sys) means nothing", found=str(error)
                ) from error


def ask(launch: SshLaunch) -> Board:
    """Ask the board.

    Raises:
        UserError: it is not reached, or has no Python under the profile's name.
        StageError: what it says is no answer.
    """
    wanted = ["paretune", "numpy", *packages()]
    request = {"workdir": launch.workdir, "packages": wanted, "gpus": ["nvidia-smi", *LISTING]}
    with FarProgram(launch, "far_facts", request) as program:
        return _board(program.said())


def _board(reply: Reply) -> Board:
    return Board(
        python=reply.read("python", _python),
        system=reply.read("system", text),
        machine=reply.read("machine", text),
        host=reply.read("host", text),
        cpus=reply.read("cpus", list_of(whole)),
        files=reply.read("files", map_of(verbatim)),
        packages=reply.read("packages", map_of(text)),
        gpus=reply.read("gpus", text),
        workdir=reply.read("workdir", _folder),
        temporary=reply.read("temporary", _folder),
        prepared=reply.read("prepared", maybe(verbatim)),
        clock=reply.read("clock", number),
    )


def _python(value: object, name: str) -> Python:
    told = mapping(value, name)
    version = text(told.get("version"), f"version of {name}")
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){2}", version):
        raise ValueError(f"version of {name} is {version!r}, and has to be one")
    words = ("implementation", "tag", "soabi", "executable", "libc")
    return Python(
        version=tuple(map(int, version.split("."))),
        bits=whole(told.get("bits"), f"bits of {name}"),
        **{word: text(told.get(word), f"{word} of {name}") for word in words},
    )


def _folder(value: object, name: str) -> Folder:
    told = mapping(value, name)
    flags = ("is_folder", "writable", "read_only", "executable")
    return Folder(
        path=verbatim(told.get("path"), f"path of {name}"),
        nearest=verbatim(told.get("nearest"), f"nearest of {name}"),
        free_bytes=whole(told.get("free_bytes"), f"free_bytes of {name}"),
        **{word: flag(told.get(word), f"{word} of {name}") for word in flags},
    )
