"""Parts brought to a board, and the switch to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

from ...profiles.errors import UserError
from ...profiles.words import one_line
from ..runner.launch import SshLaunch
from ..runner.reading import Reply, flag, map_of, mapping, text, whole
from .far import FarProgram
from .parts import Part, PreparedSet
from .steps import Steps

CHUNK = 2**18
ENDING_S = 3.0
"""For a runner that is just ending, which holds the set that it started from."""
CHUNK_S, WAIT_S, DISK_S, LOCK_S = 120.0, 120.0, 900.0, 900.0
"""Seconds for one chunk to leave, for the next word from there, for its disk to have written all, and for
another setup there to end."""
_SPARE_BYTES, _SPARE_SHARE = 8 * 10**6, 0.1  # what Python compiles there is written too


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """How much of a part is there already."""

    unpacked: bool
    size: int
    sha256: str


class Delivery:
    """A setup at work on the board, from `with` to the end of its block; it holds the board's lock. `again`:
    what is there already counts for nothing.

    Raises:
        UserError: the board is lost, or refuses what is sent.
    """

    def __init__(
        self, launch: SshLaunch, prepared: PreparedSet, steps: Steps, *, again: bool = False
    ) -> None:
        self._device, self._prepared, self._steps = launch.device, prepared, steps
        request = {
            "workdir": launch.workdir,
            "parts": [part.told() for part in prepared.parts],
            "set": prepared.told(),
            "patience": LOCK_S,
            "again": again,
            "ending": ENDING_S,
        }
        self._far = FarProgram(launch, "far_receive", request)
        self._start: Mapping[str, int] = {}
        self.current = False

    def __enter__(self) -> Delivery:
        self._far.__enter__()
        try:
            self._begin()
        except BaseException:
            self._far.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._far.__exit__(kind, error, trace)

    @property
    def missing(self) -> tuple[Part, ...]:
        """The parts that are not there."""
        return tuple(part for part in self._prepared.parts if part.name in self._start)

    @property
    def bytes_to_send(self) -> int:
        """Of what is missing, without what has arrived before."""
        return sum(part.size - self._start[part.name] for part in self.missing)

    def _begin(self) -> None:
        self._until("locked")
        reply = self._until("there")
        there = reply.read("there", map_of(_arrived))
        self._start = {
            part.name: _kept(part, there[part.name])
            for part in self._prepared.parts
            if part.name in there and not there[part.name].unpacked
        }
        self.current = reply.read("current", text).strip() == self._prepared.name
        self._check_space(reply.read("free_bytes", whole))

    def _check_space(self, free: int) -> None:
        if not self.missing:
            return
        archives = max(part.size - self._start[part.name] for part in self.missing)
        needed = (
            round((1 + _SPARE_SHARE) * sum(part.bytes for part in self.missing)) + archives + _SPARE_BYTES
        )
        if free < needed:
            raise UserError(
                f"{self._device} has too little room on its disk",
                found=f"{free / 1e6:.0f} MB are free where the work folder lies",
                accepted=f"{needed / 1e6:.0f} MB",
                remedy="free some there, name another place in the profile (`reach: {workdir: ...}`), or "
                "bring fewer runtimes (`--backend NAME`)",
            )

    def send(self) -> None:
        """All that is missing, and the word that it is there for good."""
        self._far.tell({"send": dict(self._start)})
        done, total = 0, self.bytes_to_send
        for part in self.missing:
            self._steps.stage(f"sending {part.name} to {self._device}")
            done = self._send(part, done, total)
            self._until("unpacked")
        self._steps.stage(f"{self._device} writes it to its disk")
        self._until("taken", DISK_S)

    def _send(self, part: Part, done: int, total: int) -> int:
        with part.file.open("rb") as file:
            file.seek(self._start[part.name])
            while chunk := file.read(CHUNK):
                self._far.send(chunk, CHUNK_S)
                done += len(chunk)
                self._steps.detail(f"{done / 1e6:.1f} of {total / 1e6:.1f} MB")
        return done

    def switch(self) -> None:
        """Runners start from it from now on; what no runner needs any more is removed."""
        self._far.tell({"switch": True})
        self._until("switched", DISK_S)

    def _until(self, word: str, seconds: float = WAIT_S) -> Reply:
        """The line that says this; those before it say that the board is at work."""
        while True:
            reply = self._far.said(seconds)
            if word in reply.body:
                return reply
            if "failed" in reply.body:
                raise self._refused(reply)
            self._show(reply)

    def _show(self, reply: Reply) -> None:
        if "waiting" in reply.body:
            self._steps.stage(f"another setup is at work on {self._device}: waiting for it to end")
        elif "unpacking" in reply.body:
            self._steps.detail("unpacking it there")

    def _refused(self, reply: Reply) -> UserError:
        return UserError(
            f"{self._device} cannot take what it is sent",
            place=one_line(reply.read("place", text, ""), 200),
            found=one_line(reply.read("failed", text), 300),
            remedy="mend that and run it again: it goes on from what has arrived, and until it has ended the "
            "board stays as it was",
        )


def _arrived(value: object, name: str) -> Arrived:
    told = mapping(value, name)
    return Arrived(
        unpacked=flag(told.get("unpacked"), f"unpacked of {name}"),
        size=whole(told.get("size"), f"size of {name}"),
        sha256=text(told.get("sha256"), f"sha256 of {name}"),
    )


def _kept(part: Part, arrived: Arrived) -> int:
    """How many bytes of what arrived before are those that would be sent."""
    if not arrived.size or arrived.size > part.size:
        return 0
    with part.file.open("rb") as file:
        ours = _digest_of(file.read, arrived.size)
    return arrived.size if ours == arrived.sha256 else 0


def _digest_of(read: Callable[[int], bytes], size: int) -> str:
    digest = hashlib.sha256()
    while size and (block := read(min(size, 2**20))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
