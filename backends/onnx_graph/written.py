"""The nodes of an ONNX file, read without the onnx package: on a device it is not there."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_CONSTANT = 1, 5
_CONSTANT_TYPE, _CONSTANT_NAME = 2, 8
_INPUT, _OUTPUT, _NAME, _OPERATOR, _DOMAIN = 1, 2, 3, 4, 7


@dataclass(frozen=True, kw_only=True)
class WrittenNode:
    """A node of the main graph as the file has it."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass
class WrittenGraph:
    """The nodes of the main graph in their order, and the names of its constants and the types that they
    have, by their numbers in ONNX."""

    nodes: list[WrittenNode] = field(default_factory=list)
    constants: set[str] = field(default_factory=set)
    types: set[int] = field(default_factory=set)


def read_graph(path: Path) -> WrittenGraph:
    """The main graph of a file; its weights are passed over.

    Raises:
        ValueError: it is no such file.
    """
    found = WrittenGraph()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for number, start, end in _fields(content, 0, len(content)):
            if number != _MODEL_GRAPH:
                continue
            for kind, first, last in _fields(content, start, end):
                if kind == _GRAPH_NODE:
                    found.nodes.append(_node(content, first, last))
                elif kind == _GRAPH_CONSTANT:
                    found.constants.update(_texts(content, first, last, _CONSTANT_NAME))
                    kinds = (at for part, at, _ in _fields(content, first, last) if part == _CONSTANT_TYPE)
                    found.types.update(_varint(content, at)[0] for at in kinds)
    return found


def _node(content: mmap.mmap, start: int, end: int) -> WrittenNode:
    def one(number: int) -> str:
        return next(iter(_texts(content, start, end, number)), "")

    return WrittenNode(
        name=one(_NAME),
        operator=one(_OPERATOR),
        domain=one(_DOMAIN),
        inputs=tuple(_texts(content, start, end, _INPUT)),
        outputs=tuple(_texts(content, start, end, _OUTPUT)),
    )


def _texts(content: mmap.mmap, start: int, end: int, wanted: int) -> list[str]:
    found = (content[a:b] for number, a, b in _fields(content, start, end) if number == wanted)
    return [text.decode("utf-8", "replace") for text in found]


def _fields(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a message (protobuf's wire format)."""
    while at < end:
        key, at = _varint(content, at)
        kind = key & 7
        if kind == 0:
            start = at
            _, at = _varint(content, at)
        elif kind == 2:
            size, start = _varint(content, at)
            at = start + size
        elif kind in (1, 5):
            start, at = at, at + (8 if kind == 1 else 4)
        else:
            raise ValueError(f"no ONNX file: a field of kind {kind}")
        if at > end:
            raise ValueError("no ONNX file: it ends within a field")
        yield key >> 3, start, at


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(content) or shift > 63:
            raise ValueError("no ONNX file: a number has no end")
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
