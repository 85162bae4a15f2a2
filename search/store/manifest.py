"""The manifest of a store's entry: its files with hashes and sizes, what it is and what it was made from."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...profiles.errors import InternalError
from ..record.digest import canonical_json, digest_of

MANIFEST = "manifest.json"


class CorruptEntryError(Exception):
    """A file of an entry is missing or is not what was written."""


def write_manifest(
    aside: Path,
    stage: str,
    key: str,
    meta: Mapping[str, Any],
    provenance: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """Write the manifest of the files in `aside` and return its content.

    Raises:
        InternalError: the stage wrote a file of that name itself.
    """
    if (aside / MANIFEST).exists():
        raise InternalError(f"stage {stage} wrote a file of the name {MANIFEST}, which is the store's own")
    files = {
        path.relative_to(aside).as_posix(): {"sha256": _file_digest(path), "size_bytes": path.stat().st_size}
        for path in sorted(aside.rglob("*"))
        if path.is_file()
    }
    content = {
        "stage": stage,
        "key": key,
        "files": files,
        "meta": dict(meta),
        "provenance": dict(provenance),
        "created": time.time(),
        "seconds": seconds,
    }
    # Read back, so that an entry just made and the same entry found later are equal (tuples become lists).
    plain: dict[str, Any] = json.loads(canonical_json(content))
    text = json.dumps({**plain, "digest": digest_of(plain)}, indent=1, sort_keys=True)
    (aside / MANIFEST).write_text(text, encoding="utf-8")
    return plain


def read_manifest(path: Path) -> dict[str, Any]:
    """The content of an entry's manifest; CorruptEntryError if it is not what was written."""
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        digest = manifest.pop("digest")
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise CorruptEntryError(f"{MANIFEST}: {error}") from error
    if digest != digest_of(manifest):
        raise CorruptEntryError(f"{MANIFEST} was changed")
    return manifest


def check_file(path: Path, sha256: str, size_bytes: int) -> None:
    """Raise CorruptEntryError where a file is not what was written."""
    try:
        if path.stat().st_size != size_bytes:
            raise CorruptEntryError(f"{path.name} has {path.stat().st_size} bytes, not {size_bytes}")
        if _file_digest(path) != sha256:
            raise CorruptEntryError(f"{path.name} was changed")
    except OSError as error:
        raise CorruptEntryError(f"{path.name}: {error.strerror}") from error


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
