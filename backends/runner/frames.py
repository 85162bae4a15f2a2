"""Messages between the study's process and a runner: framed JSON with raw arrays, never pickle.

A frame is: the length of the header (4 bytes, big-endian), the header (JSON), then the raw bytes of each
array in the order of the header's `arrays` list. A runner's stream starts with `PREAMBLE`, so that what a
login shell prints before it is skipped.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...profiles.errors import ParetuneError
from ..contract.backend import Array

Read = Callable[[int], "bytes | bytearray"]
Write = Callable[["bytes | memoryview"], object]

PREAMBLE = b"paretune-runner-frames-2\n"
MAX_HEADER_BYTES = 64 * 2**20
MAX_ARRAY_BYTES = 16 * 2**30
_LENGTH = struct.Struct(">I")
_KINDS = "biufc"  # plain numbers and booleans: nothing that could hold a Python object
_DTYPE = re.compile(rf"[<>|=]?[{_KINDS}][0-9]{{1,2}}")


class ProtocolError(ParetuneError):
    """The stream holds something that is no frame, or a message cannot be sent as one."""


class StreamEndedError(ProtocolError):
    """The stream ended: between two frames (`clean`) or inside one."""

    def __init__(self, message: str, *, clean: bool = False) -> None:
        self.clean = clean
        super().__init__(message)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One request or reply: plain JSON values and named arrays."""

    body: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


def write_message(write: Write, message: Message) -> None:
    """Send one message; `write` must take all bytes that it is given.

    Raises:
        ProtocolError: an array holds Python objects or text, or a part is over the size limits.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in message.arrays.items()}
    described = [_described(n, a) for n, a in arrays.items()]
    try:
        header = json.dumps({"body": message.body, "arrays": described}, default=_number).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"a value cannot be sent: {error}") from error
    if len(header) > MAX_HEADER_BYTES:
        raise ProtocolError(f"header of {len(header)} bytes, at most {MAX_HEADER_BYTES} can be sent")
    write(_LENGTH.pack(len(header)) + header)
    for array in arrays.values():
        if array.nbytes:
            write(array.reshape(-1).view(np.uint8).data)


def _number(value: object) -> object:
    """numpy's numbers as Python's; other values are none that JSON has."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is neither a number nor text, nor a list or mapping of them")


def _described(name: str, array: Array) -> dict[str, Any]:
    if array.dtype.kind not in _KINDS:
        raise ProtocolError(f"array {name!r} has dtype {array.dtype}; only numbers and booleans can be sent")
    if array.nbytes > MAX_ARRAY_BYTES:
        raise ProtocolError(f"array {name!r} has {array.nbytes} bytes, at most {MAX_ARRAY_BYTES} can be sent")
    return {"name": name, "dtype": array.dtype.str, "shape": list(array.shape), "bytes": array.nbytes}


def read_message(read: Read, most: int = MAX_ARRAY_BYTES) -> Message:
    """Receive one message with at most so many bytes of arrays; `read(n)` gives up to n bytes and nothing
    only at the end of the stream.

    Raises:
        StreamEndedError: the stream ended (`clean` where that was between two frames).
        ProtocolError: what came is no frame.
    """
    first = read(_LENGTH.size)
    if not first:
        raise StreamEndedError("the stream ended", clean=True)
    rest = b"" if len(first) == _LENGTH.size else _exactly(read, _LENGTH.size - len(first), "a length")
    (length,) = _LENGTH.unpack(bytes(first) + bytes(rest))
    if length > MAX_HEADER_BYTES:
        raise ProtocolError(f"a header of {length} bytes is announced: this is no frame")
    body, described = _parsed(bytes(_exactly(read, length, "a header")))
    if sum(one.size for one in described) > most:
        raise ProtocolError(f"the arrays that are announced are over the limit of {most} bytes")
    return Message(body=body, arrays={one.name: one.read(read) for one in described})


def _parsed(header: bytes) -> tuple[dict[str, Any], list[_Described]]:
    try:
        parsed = json.loads(header)
        body, arrays = parsed["body"], [_Described.of(entry) for entry in parsed["arrays"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProtocolError(f"the header is not one of ours: {header[:80]!r}") from error
    if not isinstance(body, dict) or len({one.name for one in arrays}) < len(arrays):
        raise ProtocolError(f"the header is not one of ours: {header[:80]!r}")
    return body, arrays


@dataclass(frozen=True)
class _Described:
    """An array as a header announces it."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, entry: Any) -> _Described:
        """Raises ProtocolError where an entry of the header announces no array of ours."""
        try:
            name, dtype, shape, size = (entry[key] for key in ("name", "dtype", "shape", "bytes"))
            whole = all(type(length) is int and length >= 0 for length in (*shape, size))
            if not whole or not isinstance(name, str) or not _DTYPE.fullmatch(dtype):
                raise TypeError
            found = cls(name, np.dtype(dtype), tuple(shape), size)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"array {str(entry)[:200]} is not described as it should be") from error
        # Python's integers: a hostile shape must not overflow into a small product.
        if math.prod(found.shape) * found.dtype.itemsize != size:
            raise ProtocolError(f"array {str(entry)[:200]}: dtype, shape and size do not agree")
        return found

    def read(self, read: Read) -> Array:
        """The array itself, from the stream."""
        data = _exactly(read, self.size, f"array {self.name!r}")
        try:
            return np.frombuffer(data, dtype=self.dtype).reshape(self.shape)
        except ValueError as error:  # more axes than numpy has, or an empty one of others beyond its integers
            raise ProtocolError(f"array {self.name!r} has a shape that cannot be: {error}") from error


def _exactly(read: Read, size: int, what: str) -> bytearray:
    # A bytearray, so that the arrays built on it can be written to.
    data = bytearray()
    while len(data) < size:
        part = read(size - len(data))
        if not part:
            raise StreamEndedError(f"the stream ended inside {what}: {len(data)} of {size} bytes came")
        data += part
    return data
