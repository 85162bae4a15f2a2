"""The manifest of a store's entry: its files with hashes and sizes, what it is and what it was made from."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...profiles.errors import InternalError, StageError
from ...profiles.files import file_inside, open_regular, sha256_of
from ...profiles.words import escaped
from ..record.digest import canonical_json, digest_of
from .said import misfit

MANIFEST = "manifest.json"
_MOST_BYTES = 2**28
# What stands there is not what was written. Any other error is of this process, its machine or its line to
# the disk: others may well read it.
_NOT_OURS = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.EINVAL,
    errno.EPERM,
    errno.ENXIO,
    errno.ENAMETOOLONG,
)


class CorruptEntryError(Exception):
    """An entry, or a file of it, is missing or is not what was written."""

    def __init__(self, damage: str) -> None:
        super().__init__(escaped(damage))  # it may quote what a stranger wrote


class UnusableHereError(CorruptEntryError):
    """An entry cannot be used by this process, and nothing shows that others cannot use it."""


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """What a file has to be."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an entry says of itself. `files` by their names below the entry's folder; `meta` has what its
    stage has to say (`said.py`)."""

    stage: str
    key: str
    files: Mapping[str, StoredFile]
    meta: dict[str, Any]
    provenance: dict[str, Any]
    seconds: float


def write_manifest(
    aside: Path,
    stage: str,
    key: str,
    meta: Mapping[str, Any],
    provenance: Mapping[str, Any],
    seconds: float,
) -> Manifest:
    """Write the manifest of the files in `aside` and return it.

    Raises:
        InternalError: the stage wrote a file of that name itself.
        StageError: it wrote something else than files and folders, or did not say what it has to.
    """
    if os.path.lexists(aside / MANIFEST):
        raise InternalError(f"stage {stage} wrote a file of the name {MANIFEST}, which is the store's own")
    content = {
        "stage": stage,
        "key": key,
        "files": _described(aside, stage),
        "meta": dict(meta),
        "provenance": dict(provenance),
        "created": time.time(),
        "seconds": seconds,
    }
    # Read back, so that an entry just made and the same entry found later are equal (tuples become lists).
    plain: dict[str, Any] = json.loads(canonical_json(content))
    try:
        manifest = _typed(plain, stage, key)
    except CorruptEntryError as error:
        raise StageError(stage, f"what was made cannot be kept: {error}") from error
    text = json.dumps({**plain, "digest": digest_of(plain)}, indent=1, sort_keys=True)
    (aside / MANIFEST).write_text(text, encoding="utf-8")
    return manifest


def _described(aside: Path, stage: str) -> dict[str, Any]:
    found = {}
    for path in sorted(aside.rglob("*")):
        name, mode = path.relative_to(aside).as_posix(), path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):  # whoever reads the entry would be led out of it
            raise StageError(stage, f"{name}, which it wrote, is no regular file")
        with path.open("rb") as file:
            found[name] = {"sha256": sha256_of(file), "size_bytes": path.stat().st_size}
    return found


def read_manifest(path: Path, stage: str, key: str) -> Manifest:
    """The manifest of an entry's folder; CorruptEntryError where it is not what was written for that key.

    Raises:
        OSError: it cannot be read here at the moment.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise CorruptEntryError("it is no folder")
        with open_regular(file_inside(path, MANIFEST)) as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                raise CorruptEntryError(f"{MANIFEST} is too large")
            text = file.read()
    except OSError as error:
        raise _damaged(MANIFEST, error) from error
    return manifest_of(text, stage, key)


def manifest_of(text: bytes, stage: str, key: str) -> Manifest:
    """What the text of an entry's manifest says; CorruptEntryError where it is not what was written for that
    key."""
    try:
        plain = json.loads(text.decode("utf-8"))
        digest = plain.pop("digest")
        same = digest == digest_of(plain)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptEntryError(f"{MANIFEST}: {error or type(error).__name__}") from error
    if not same:
        raise CorruptEntryError(f"{MANIFEST} was changed")
    return _typed(plain, stage, key)


def _typed(plain: Mapping[str, Any], stage: str, key: str) -> Manifest:
    """A manifest of our digest may still be none of ours, or of another version."""
    if (plain.get("stage"), plain.get("key")) != (stage, key):
        raise CorruptEntryError(f"{MANIFEST} is that of another entry")
    if wrong := misfit(stage, plain):
        raise UnusableHereError(f"{MANIFEST} does not say {wrong} as this version reads it")
    files = {
        name: StoredFile(sha256=item["sha256"], size_bytes=item["size_bytes"])
        for name, item in plain["files"].items()
    }
    return Manifest(
        stage=stage,
        key=key,
        files=files,
        meta=plain["meta"],
        provenance=plain["provenance"],
        seconds=float(plain["seconds"]),
    )


def check_file(entry: Path, name: str, expected: StoredFile) -> None:
    """Raise CorruptEntryError where a file of an entry is not what was written, or lies elsewhere.

    Raises:
        OSError: it cannot be read here at the moment.
    """
    try:
        with open_regular(file_inside(entry, name)) as file:
            size = os.fstat(file.fileno()).st_size
            if size != expected.size_bytes:
                raise CorruptEntryError(f"{name} has {size} bytes, not {expected.size_bytes}")
            if sha256_of(file) != expected.sha256:
                raise CorruptEntryError(f"{name} was changed")
    except OSError as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: OSError) -> Exception:
    return CorruptEntryError(f"{name}: {error.strerror}") if error.errno in _NOT_OURS else error
