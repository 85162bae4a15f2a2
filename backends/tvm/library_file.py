"""The artifact: a shared library, and behind its end what it takes and gives.

The system's loader reads a library by its own table of contents and does not mind what follows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ..contract.backend import TensorSpec
from .processor import Processor

MAGIC = b"PARETUNE-TVM-1\n"
_LENGTH_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class LibraryManifest:
    """What a library takes and gives, for which batch and which processor. `core` is LLVM's name for it."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch: int
    processor: Processor
    core: str
    tuned: bool = False


def packed(library: bytes, manifest: LibraryManifest) -> bytes:
    """The file's content: the library, the manifest, its length, and a mark."""
    text = json.dumps(asdict(manifest), sort_keys=True, separators=(",", ":")).encode()
    return library + text + len(text).to_bytes(_LENGTH_BYTES, "little") + MAGIC


def read_manifest(path: Path) -> LibraryManifest:
    """The manifest of a file.

    Raises:
        UserError: the file has none.
    """
    end = len(MAGIC) + _LENGTH_BYTES
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - end))
        tail = file.read(end)
        length = int.from_bytes(tail[:_LENGTH_BYTES], "little")
        if tail[_LENGTH_BYTES:] != MAGIC or length > size - end:
            raise _no_library(path, "its end is another one")
        file.seek(size - end - length)
        text = file.read(length)
    try:
        return _manifest(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise _no_library(path, f"its manifest cannot be read: {error!r}") from error


def _manifest(said: Mapping[str, Any]) -> LibraryManifest:
    processor = said["processor"]
    return LibraryManifest(
        inputs=_specs(said["inputs"]),
        outputs=_specs(said["outputs"]),
        batch=int(said["batch"]),
        processor=Processor(**{**processor, "instruction_sets": tuple(processor["instruction_sets"])}),
        core=str(said["core"]),
        tuned=bool(said["tuned"]),
    )


def _specs(said: Any) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=str(one["name"]), dtype=str(one["dtype"]), shape=tuple(map(int, one["shape"])))
        for one in said
    )


def _no_library(path: Path, found: str) -> UserError:
    return UserError(
        "not a library that this backend compiled",
        place=str(path),
        found=found,
        accepted="a shared library with a manifest behind it",
        remedy="compile the model again",
    )
