"""What each operation of a runner answers, and what its errors become here."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import StageError, UnsupportedError, UserError
from ...profiles.precision import Precision
from ...profiles.system_trouble import refusal
from ...profiles.words import printable
from ..contract.backend import Array, Artifact, Availability, TensorSpec
from ..lease.warden import SILENCE_S
from .child import lacked_memory
from .reading import (
    Reader,
    Reply,
    flag,
    list_of,
    map_of,
    mapping,
    maybe,
    number,
    plain,
    share,
    text,
    verbatim,
    whole,
)

LOG_BYTES, _MOST_NOTES = 4096, 100
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Hello:
    """Who answers: process id, environment of the device (`environment.py`), loaded top-level modules, and
    the digest of the runner that `devices setup` brought there ("": it was installed by hand)."""

    pid: int
    environment: Mapping[str, Any]
    modules: tuple[str, ...]
    prepared: str = ""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Signature of an opened artifact, the milliseconds that loading took on the device, and the cores that
    the session is held on (none: not asked for, or the device does not let a process choose)."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    load_ms: float
    cores: tuple[int, ...] = ()


LOST_LEASE = (
    "others have the device by now: what held its lease for this study was ended there, or had heard nothing "
    f"from here for {SILENCE_S:g} s"
)


class LostLeaseError(StageError):
    """The device refused a request, as somebody else has its lease by now."""


def raise_error(reply: Reply, memory_bytes: int | None) -> None:
    """Raise what the reply says went wrong; nothing where it is no error. `memory_bytes` is the limit."""
    kind = reply.read("error", maybe(text), None)
    if kind is None:
        return
    if kind == "lease":
        raise LostLeaseError(reply.stage, LOST_LEASE, outside=True)
    if kind == "unsupported":
        raise UnsupportedError(reply.read("reason", text))
    if kind == "user":
        parts = {name: reply.read(name, text, "") for name in ("place", "found", "accepted", "remedy")}
        raise UserError(reply.read("problem", text), **parts)
    cause = reply.read("cause", text)
    if kind == "room":
        raise _no_room(reply, cause)
    lacked = kind == "memory" or lacked_memory(cause)
    if memory_bytes is not None and lacked:
        cause += f"; {over_limit(memory_bytes)}"
    # A stage that failed on its own terms names itself: "compile", also where it was asked for as "infer".
    where, log = reply.read("stage", text, reply.stage), reply.read("log", text, "")[-LOG_BYTES:]
    disagrees = reply.read("disagrees", flag, False)
    outside = memory_bytes is None if lacked else refusal(cause) is not None
    raise reply.error(cause, log, stage=where, disagrees=disagrees, outside=outside)


def _no_room(reply: Reply, cause: str) -> StageError:
    """A disk that is full says nothing about a candidate."""
    folder, free = reply.read("folder", text), reply.read("free_bytes", whole)
    said = f"no space is left on {reply.device}: {folder} has {free / 1e6:.1f} MB free ({cause})"
    log = reply.read("log", text, "")[-LOG_BYTES:]
    return reply.error(said, log, outside=True)


def over_limit(memory_bytes: int) -> str:
    """In words, what a runner may take."""
    return f"the limit is {memory_bytes / 1e6:.0f} MB of memory"


_READ_OF_AN_ENVIRONMENT: Mapping[str, Reader[Any]] = {
    "packages": map_of(text),
    "memory_bytes": maybe(whole),
    "instructions": list_of(text),
    "machine": text,
    "bits": whole,
    "processor": text,
    "cores": whole,
    "affinity": list_of(whole),
}
"""What others take out of it; the rest is only shown."""


def hello(reply: Reply) -> Hello:
    """Who answers."""
    return Hello(
        pid=reply.read("pid", whole),
        environment=reply.read("environment", _environment),
        modules=reply.read("modules", list_of(text)),
        prepared=reply.read("prepared", text, ""),
    )


def available(reply: Reply) -> Availability:
    """Whether a runtime can be used there."""
    said = {name: reply.read(name, text, "") for name in ("version", "reason", "install")}
    return Availability(installed=reply.read("installed", flag), **said)


def _environment(value: Any, name: str) -> Mapping[str, Any]:
    found = mapping(plain(value, name), name)
    for key in _READ_OF_AN_ENVIRONMENT.keys() & found.keys():
        _READ_OF_AN_ENVIRONMENT[key](found[key], f"{key} of {name}")
    return found


def opened(reply: Reply) -> Opened:
    """What was opened; an older runner does not tell its cores."""
    return Opened(
        inputs=reply.read("inputs", _specs),
        outputs=reply.read("outputs", _specs),
        load_ms=reply.read("load_ms", number),
        cores=reply.read("cores", list_of(whole), ()),
    )


def _specs(value: Any, name: str) -> tuple[TensorSpec, ...]:
    found = list_of(_spec)(value, name)
    if not found or len({spec.name for spec in found}) < len(found):
        raise ValueError(f"{name} has to name at least one tensor, and none twice")
    return found


def _spec(value: Any, name: str) -> TensorSpec:
    found = mapping(value, name)
    said, dtype = text(found.get("name"), f"name of {name}"), text(found.get("dtype"), f"dtype of {name}")
    return TensorSpec(name=said, dtype=dtype, shape=list_of(_length)(found.get("shape"), f"shape of {name}"))


def _length(value: Any, name: str) -> int:
    return -1 if value == -1 else whole(value, name)  # a free axis


def nanoseconds(reply: Reply, count: int, loops: int) -> list[int]:
    """What was told of `count` timed samples of `loops` runs.

    Raises:
        StageError: they are no durations, or not so many; or no time passed in them.
    """
    found = reply.read("nanoseconds", list_of(whole))
    if len(found) != count:
        raise reply.wrong(f"{len(found)} samples came, {count} were asked for")
    if count and max(found) < loops:  # nothing that is called takes less than a nanosecond
        raise reply.wrong(f"the latency is less than 1 ns in every sample ({max(found)} ns for {loops} runs)")
    return list(found)


def artifact(reply: Reply, path: Path, backend: str, precision: Precision) -> Artifact:
    """An artifact as a runner described it, whose file lies at `path` here.

    Raises:
        StageError: the description says no artifact, another one, or another size than the file has.
    """
    size, told = path.stat().st_size, reply.read("size_bytes", _size)
    if told != size:
        raise reply.wrong(f"size_bytes is {told}, and the file {path.name} has {size}")
    made, notes = reply.read("precision", text), reply.read("notes", list_of(text))
    if made != str(precision):
        raise reply.wrong(f"precision is {made!r}, and {precision} was asked for")
    return Artifact(
        path=path,
        backend=reply.read("backend", text, backend),
        precision=precision,
        size_bytes=size,
        weight_bytes=reply.read("weight_bytes", map_of(whole)),
        notes=notes[:_MOST_NOTES],
        versions=reply.read("versions", map_of(text), {}),
        stored_as=reply.read("stored_as", map_of(text), {}),
        zero_share=reply.read("zero_share", maybe(share), None),
        errors=reply.read("errors", map_of(map_of(number)), {}),
    )


def _size(value: Any, name: str) -> int:
    return whole(value, name, least=1)


def facts(reply: Reply) -> dict[str, Any]:
    """What a tuning has to say of itself: texts and numbers by name."""
    return reply.read("facts", map_of(_fact))


def _fact(value: Any, name: str) -> str | float:
    if isinstance(value, str):
        return text(value, name)
    found = number(value, name)
    return int(found) if found.is_integer() else found


def found_files(reply: Reply) -> dict[str, str]:
    """The files that a tuning left in a device's folder: paths there, by their names without the folder."""
    told = reply.read("files", list_of(verbatim))
    found = {os.path.basename(path): path for path in told}  # noqa: PTH119 - a path of another machine
    if wrong := [name for name in found if not _FILE_NAME.fullmatch(name)]:
        raise reply.wrong(f"a file of a tuning is called {wrong[0]!r}, has to match {_FILE_NAME.pattern}")
    return found


def file_name(reply: Reply) -> str:
    """What the compiled file is called, without its folder.

    Raises:
        StageError: that is no name that a file can have everywhere.
    """
    told = reply.read("path", verbatim)
    name = os.path.basename(told)  # noqa: PTH119 - a path of another machine
    if not _FILE_NAME.fullmatch(name):
        raise reply.wrong(f"the artifact's path is {told!r}, and its name has to match {_FILE_NAME.pattern}")
    return name


def made_in(reply: Reply, folder: Path) -> Path:
    """The compiled file, which has to lie in the folder that was named for it, and to be a file itself.

    Raises:
        StageError: it does not.
    """
    path = folder / file_name(reply)
    try:
        regular = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        told = reply.read("path", text)
        raise reply.wrong(f"the artifact is {told!r}, and was asked for in {str(folder)!r}") from None
    if not regular:
        raise reply.wrong(f"the artifact {path.name!r} is no regular file")
    return path


def outputs(replies: Sequence[Reply]) -> dict[str, Array]:
    """The outputs of parts of the samples as those of all.

    Raises:
        StageError: there are none, or the parts do not fit together.
    """
    first = replies[0]
    if not first.arrays:
        raise first.wrong("there is no output")
    for reply in replies:
        for name, array in first.arrays.items():
            part = reply.array(name)
            if part.ndim == 0 or (part.dtype, part.shape[1:]) != (array.dtype, array.shape[1:]):
                came = f"{part.dtype}{list(part.shape)}, before that {array.dtype}{list(array.shape)}"
                raise reply.wrong(f"the output {printable(name)!r} changes its form: {came}")
    return {name: np.concatenate([reply.array(name) for reply in replies]) for name in first.arrays}
