"""Text for Markdown: what users wrote is shown as they wrote it, wherever a template puts it."""

from __future__ import annotations

import re
from typing import Any

from ...profiles.words import printable

_MARKS = re.compile(r"([\\`*_\[\]|~$])")
# What a viewer would turn into a link of its own accord.
_ADDRESS = re.compile(r"(?i)\b(?:([a-z][a-z0-9+.-]*):(?=//)|(mailto|xmpp):|(www)\.)")
# What opens a heading, a list or a rule where it is the first of a line or of a list's item.
_OPENS = re.compile(r"^(?:(#{1,6})(?=\s|$)|([-+=])(?=[-+=\s]|$)|(\d{1,9})([.)])(?=\s|$))")
_CLOSES = re.compile(r"(#+)$")  # of a heading: dropped by Markdown


def markdown_text(value: Any) -> str:
    """A value in one line that Markdown shows as it is: no tags, links, marks, cells, headings or lists."""
    text = str(value)
    line = " ".join(printable(text, len(text)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _ADDRESS.sub(_no_address, _MARKS.sub(r"\\\1", line))
    return _CLOSES.sub(r"\\\1", _OPENS.sub(_no_opening, line))


def _no_address(found: re.Match[str]) -> str:
    return f"{found[1] or found[2] or found[3]}\\{found[0][-1]}"


def _no_opening(found: re.Match[str]) -> str:
    return f"{found[3]}\\{found[4]}" if found[3] else f"\\{found[0]}"


def fence(text: str) -> str:
    """What opens and closes a block of code with this text: longer than any such row in it."""
    rows = re.findall(r"`{3,}", text)
    return "`" * (max(map(len, rows), default=2) + 1)
