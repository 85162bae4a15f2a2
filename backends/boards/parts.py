"""What is sent to a board: archives, each unpacked there into a folder whose name holds its digest."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from ... import __version__
from ...profiles.errors import UserError
from ...profiles.files import sha256_of, whole_file
from .far_receive import place_of

_ROOT = Path(__file__).resolve().parents[2]
_SENT, _HERE_ALONE = ("backends", "profiles"), "backends/boards/"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One archive: its file here, and how many files of how many bytes in all it is there."""

    name: str
    file: Path
    size: int
    sha256: str
    files: int
    bytes: int

    def told(self) -> dict[str, Any]:
        """What the board is told of it."""
        names = ("name", "size", "sha256", "files", "bytes")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class PreparedSet:
    """Which parts make a runner, in the order in which they are searched; `tag` is the Python that they are
    for, `runner` the digest of our own side of it."""

    tag: str
    runner: str
    parts: Sequence[Part]

    @property
    def name(self) -> str:
        """By its content."""
        return _digest([self.tag, *(part.name for part in self.parts)])

    def told(self) -> dict[str, Any]:
        """What is written there."""
        kept = [{"name": part.name, "files": part.files, "bytes": part.bytes} for part in self.parts]
        return {"set": self.name, "tag": self.tag, "runner": self.runner, "parts": kept}


def part_of(archive: Path, called: str, digest: str = "") -> Part:
    """A zip archive as a part; `digest` is what its name holds, that of its bytes where it is left out.

    Raises:
        UserError: it is damaged.
    """
    try:
        with archive.open("rb") as file:
            sha256 = sha256_of(file)
        with zipfile.ZipFile(archive) as opened:
            sizes = [entry.file_size for entry in opened.infolist() if place_of(entry.filename)]
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError("the archive cannot be read", place=str(archive), found=str(error)) from error
    return Part(
        name=f"{called}-{(digest or sha256)[:12]}",
        file=archive,
        size=archive.stat().st_size,
        sha256=sha256,
        files=len(sizes),
        bytes=sum(sizes),
    )


@cache
def runner_digest() -> str:
    """12 hex digits over our own side of a board."""
    return _digest(f"{name}\n{content}" for name, content in _sources())


def runner_part(into: Path) -> Part:
    """Our own side of a board, as an archive in an existing folder."""
    archive = into / f"paretune-{runner_digest()}.zip"
    if not _is_whole(archive):
        _write(archive, {name: content.encode() for name, content in _sources()})
    return part_of(archive, "paretune", runner_digest())


def trimmed(wheel: Path, patterns: Sequence[str], into: Path) -> Path:
    """Those files of a wheel whose names match, and what says which version it is."""
    with zipfile.ZipFile(wheel) as opened:
        names = [entry.filename for entry in opened.infolist() if not entry.is_dir()]
        wanted = (*patterns, "*.dist-info/METADATA")
        kept = [name for name in names if any(fnmatchcase(name, pattern) for pattern in wanted)]
        archive = into / f"{wheel.stem}-{_digest([wheel.name, *kept])}.zip"
        if not _is_whole(archive):
            _write(archive, {name: opened.read(name) for name in kept})
    return archive


def _is_whole(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.testzip() is None
    except (OSError, zipfile.BadZipFile, zlib.error):
        return False


def _sources() -> Iterator[tuple[str, str]]:
    """Each module that a runner may load, and the words by which Python knows the version."""
    paths = [_ROOT / "__init__.py", *(path for top in _SENT for path in (_ROOT / top).rglob("*.py"))]
    for path in sorted(paths):
        name = path.relative_to(_ROOT).as_posix()
        if not name.startswith(_HERE_ALONE):
            yield f"paretune/{name}", path.read_text(encoding="utf-8")
    metadata = f"Metadata-Version: 2.1\nName: paretune\nVersion: {__version__}\n"
    yield f"paretune-{__version__}.dist-info/METADATA", metadata


def _write(archive: Path, contents: Mapping[str, bytes]) -> None:
    with whole_file(archive) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(entry, content)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:12]
