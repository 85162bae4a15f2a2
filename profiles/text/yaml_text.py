"""The text of a YAML file: opened once, from a regular file of a bounded size, as clean UTF-8."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UserError
from ..files import open_regular

MOST_BYTES = 256 * 1024
"""Far more than anybody writes by hand; a reader in Python takes about a second for it."""

# What YAML does not allow in a text, written as it is or escaped.
UNWANTED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKS_OF_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path, what: str) -> str:
    """The text of the file at `path`; `what` names such files in messages ("profile").

    A pipe is refused as well: it can be read only once, and the paths in such a file are relative to it.

    Raises:
        UserError: there is no such file, it is no regular file, too large, or not plain UTF-8 text.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1) or b""  # None: what looks like a file is still to be written
    except OSError as error:
        raise UserError(
            f"the {what} cannot be read ({error.strerror})", place=str(path), remedy="check the path"
        ) from None
    if len(content) > MOST_BYTES:
        raise UserError(
            f"this file is too large for a {what}", place=str(path), accepted=f"up to {MOST_BYTES} bytes"
        )
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", errors="replace")
        utf_16 = content.startswith(_MARKS_OF_UTF_16)
        raise UserError(
            "not UTF-8 text",
            place=f"{path}, {position(before)}",
            found="UTF-16" if utf_16 else f"the byte 0x{content[error.start]:02x}",
            remedy="save the file as UTF-8",
        ) from None
    unwanted = UNWANTED.search(text)
    if unwanted:
        raise UserError(
            "a control character",
            place=f"{path}, {position(text[: unwanted.start()])}",
            found=f"U+{ord(unwanted[0]):04X}",
            accepted="visible characters, line breaks and tabs",
        )
    return text


def position(before: str) -> str:
    """Where a text ends, as a place: "line 3, column 1"."""
    lines = before.split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}"
