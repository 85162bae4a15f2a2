"""Storage URLs as users write them: SQLite files relative to the study file, passwords never shown."""

from __future__ import annotations

import re
from pathlib import Path

_SQLITE = "sqlite:///"


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite storage; None for any other storage."""
    path = url.removeprefix(_SQLITE).partition("?")[0]
    return Path(path) if url.startswith(_SQLITE) and path not in ("", ":memory:") else None


def absolute_url(url: str, base: Path) -> str:
    """The URL with the relative path of a SQLite file taken from `base`."""
    file = sqlite_file(url)
    return url if file is None else _SQLITE + str(base / file) + "".join(url.partition("?")[1:])


def shown_url(text: str) -> str:
    """A URL, or a text with URLs in it, without their passwords."""
    return re.sub(r"(//[^:/@\s]*):[^@/\s]*@", r"\1:***@", text)
