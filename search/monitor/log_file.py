"""The file that a process records into: two halves of a fixed size, written in turn.

Whatever ends a process or tears a write, the other half stands. This file travels in every bundle: the
standard library, Python 3.9.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import stat
import struct
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HALF = 1 << 18  # bytes
MOST_PROCESSES = 64
_MAGIC = b"PTMONIT1"
_HEAD = struct.Struct("<8sQII")  # magic, which write it is, bytes of blocks, checksum of this head
_BLOCK = struct.Struct("<II")  # bytes, checksum


class ForeignLogError(OSError):
    """What stands at the path is no log of a monitor."""


class LogFile:
    """One file, held by one process as long as that lives, and continued by the next one. `blocks` are those
    that it had."""

    def __init__(self, path: str, about: Mapping[str, Any]) -> None:
        """Take the first of `path`, `path.1`, ... that no other process holds. One that is about another
        bundle is moved to `.before`. OSError where none can be had."""
        self.path, self.blocks = path, list[bytes]()
        self._about = json.dumps(dict(about)).encode()
        self._turn, self._file = 0, -1
        while not self._begun(path, str(about.get("bundle", ""))):
            pass

    def _begun(self, path: str, bundle: str) -> bool:
        self.path, self._file = _first_free(path)
        try:
            found = _parsed(_bytes_of(self._file))
            if found is None and os.fstat(self._file).st_size:
                raise ForeignLogError(errno.EEXIST, "something else stands where the log belongs", self.path)
            self._turn, blocks = found or (0, [])
            if blocks and json.loads(blocks[0]).get("bundle") != bundle:
                Path(self.path).replace(f"{self.path}.before")
                self.close()
                return False
            self.blocks = blocks[1:]
            _reserve(self._file, 2 * HALF)
        except BaseException:
            self.close()
            raise
        return True

    def write(self, blocks: Sequence[bytes]) -> bool:
        """Write what is known; False where it does not fit. OSError where it cannot be written."""
        parts = [self._about, *blocks]
        body = b"".join(_BLOCK.pack(len(part), zlib.crc32(part)) + part for part in parts)
        if len(body) + _HEAD.size + 4 > HALF:
            return False
        head = _head(self._turn + 1, len(body))
        _write_all(self._file, head + body, HALF * ((self._turn + 1) % 2))
        os.fsync(self._file)
        self._turn += 1
        return True

    def close(self) -> None:
        """Let another process have it."""
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)


def packed(plain: Mapping[str, Any]) -> bytes:
    """A block of what is plain data."""
    return zlib.compress(json.dumps(plain, allow_nan=False, separators=(",", ":")).encode(), 6)


def unpacked(block: bytes) -> dict[str, Any]:
    """What was packed. ValueError where it was not."""
    try:
        inflating = zlib.decompressobj()
        found = json.loads(inflating.decompress(block, 1 << 24))
    except (zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not isinstance(found, dict):
        raise ValueError("no block of a log")
    return found


def read_log(path: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What it is about, and its windows, oldest first, up to where it is torn. OSError where it cannot be
    read or is no log."""
    descriptor = _opened(path, os.O_RDONLY)
    try:
        found = _parsed(_bytes_of(descriptor))
    finally:
        os.close(descriptor)
    if found is None:
        raise ForeignLogError(errno.EINVAL, "this is no log of a monitor", path)
    about: dict[str, Any] = {}
    try:
        about = json.loads(found[1][0]) if found[1] else {}
        windows = [unpacked(block) for block in found[1][1:]]
    except (ValueError, RecursionError) as error:
        raise ForeignLogError(errno.EINVAL, f"this log is damaged ({error})", path) from error
    return about, windows


def _bytes_of(descriptor: int) -> bytes:
    parts, at = [], 0
    os.lseek(descriptor, 0, os.SEEK_SET)
    while at < 2 * HALF and (part := os.read(descriptor, 2 * HALF - at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _parsed(data: bytes) -> tuple[int, list[bytes]] | None:
    """Which write is the newest that is whole, else the one with the most blocks, and its blocks. None where
    nothing says that this is a log; one that was made and not written yet is all zeros."""
    halves = [half for half in (_of_half(data[:HALF]), _of_half(data[HALF:])) if half is not None]
    if not halves:
        return (0, []) if data and not data.strip(b"\0") else None
    *_, turn, blocks = max(halves, key=lambda half: half[:2])
    return turn, blocks


def _of_half(half: bytes) -> tuple[bool, int, int, list[bytes]] | None:
    """Whether it is whole, by what such are chosen (the latest; of torn ones the longest), which write it is,
    and its blocks."""
    if len(half) < _HEAD.size:
        return None
    magic, turn, length, checksum = _HEAD.unpack_from(half)
    if magic != _MAGIC or checksum != zlib.crc32(half[: _HEAD.size - 4]):
        return None
    at, end, blocks = _HEAD.size, min(_HEAD.size + length, len(half)), []
    while at + _BLOCK.size <= end:
        size, expected = _BLOCK.unpack_from(half, at)
        block = half[at + _BLOCK.size : at + _BLOCK.size + size]
        if len(block) != size or zlib.crc32(block) != expected:
            break
        blocks.append(block)
        at += _BLOCK.size + size
    whole = at == _HEAD.size + length
    return whole, turn if whole else len(blocks), turn, blocks


def _head(turn: int, length: int) -> bytes:
    without = _HEAD.pack(_MAGIC, turn, length, 0)[:-4]
    return without + struct.pack("<I", zlib.crc32(without))


def _write_all(descriptor: int, data: bytes, at: int) -> None:
    os.lseek(descriptor, at, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _reserve(descriptor: int, size: int) -> None:
    """Have the room on the disk from the start, so that one that fills up later takes nothing away."""
    there = os.fstat(descriptor).st_size
    if there < size:
        _write_all(descriptor, bytes(size - there), there)


def _first_free(path: str) -> tuple[str, int]:
    for number in range(MOST_PROCESSES):
        name = path + (f".{number}" if number else "")
        descriptor = _held(name)
        if descriptor is not None:
            return name, descriptor
    raise OSError(errno.EAGAIN, "other processes hold all files of this log", path)


def _held(path: str) -> int | None:
    """The file, opened and locked; None where another process holds it."""
    descriptor = _opened(path, os.O_RDWR | os.O_CREAT)
    try:
        if _locked(descriptor):
            return descriptor
    except OSError:  # a place that knows no locks: a file for each process that ever was
        if not os.fstat(descriptor).st_size:
            return descriptor
    os.close(descriptor)
    return None


def _opened(path: str, flags: int) -> int:
    """A regular file; what else stands there is no wait, and refused."""
    more = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK"))
    descriptor = os.open(path, flags | more, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ForeignLogError(errno.EINVAL, "no regular file", path)
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return _locked_there(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locked_there(descriptor: int) -> bool:
    import msvcrt

    os.lseek(descriptor, 4 * HALF, os.SEEK_SET)  # beyond what is read
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except PermissionError:
        return False
    return True


def here() -> dict[str, Any]:
    """Where this is recorded, and since when."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "node": platform.node(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "began": round(time.time(), 3),
    }


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            named = [
                line.split(":", 1)[1].strip() for line in file if line.startswith(("model name", "Model"))
            ]
        return named[0] if named else platform.processor()
    except OSError:
        return platform.processor()
