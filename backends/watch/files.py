"""Small files of the system read whatever they hold: one that is missing, refused or nonsense is empty."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_MOST_BYTES = 2**16


def text(path: Path) -> str:
    """What a file holds, up to 64 kB of it; "" where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace").strip("\0 \r\n\t")
    except (OSError, ValueError):
        return ""


def number(path: Path) -> int | None:
    """The whole number that a file holds."""
    try:
        return int(text(path))
    except ValueError:
        return None


def fields(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    found = {}
    for line in text(path).splitlines():
        name, _, value = line.partition(" ")
        if value.strip().isdecimal():
            found[name] = int(value)
    return found


def inside(folder: Path, pattern: str) -> list[Path]:
    """What matches a pattern in a folder, in the order of its numbers; nothing where it cannot be read."""
    try:
        return sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
    except (OSError, ValueError):
        return []


def first(paths: Iterable[Path]) -> str:
    """What the first file holds that holds anything."""
    return next(filter(None, map(text, paths)), "")
