"""What a file takes once it is compressed: the only size in which scattered zeros show."""

from __future__ import annotations

import zlib
from pathlib import Path

PART_BYTES = 2**20


def compressed_bytes(path: Path) -> int:
    """Size of a file as zlib compresses it at level 9, in bytes."""
    packer, size = zlib.compressobj(9), 0
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            size += len(packer.compress(part))
    return size + len(packer.flush())
