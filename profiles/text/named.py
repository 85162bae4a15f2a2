"""Texts that name something: a file, a module, a host. Each is checked where it is read, by its type."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from ..errors import UserError
from .hosts import host, scheduler_address

_PART_BYTES, _PATH_BYTES = 255, 4095  # what Linux' file systems take
_LONGEST_LINE = 1000
_SPACES = "\xa0\u202f"  # which do not break: pasted texts have them between number and unit
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def visible_line(text: str) -> str:
    """A text on one line that shows what it holds.

    Raises:
        ValueError: it is blank, very long, or has control characters or spaces around it.
    """
    if not text.strip():
        raise ValueError("must not be empty")
    hidden = next((c for c in text if not c.isprintable() and c not in _SPACES), "")
    if hidden:
        raise ValueError(f"has the character U+{ord(hidden):04X}; accepted: one line of visible characters")
    if text != text.strip():
        raise ValueError("has spaces around it: leave them out")
    if len(text) > _PATH_BYTES:
        raise ValueError(f"is {len(text)} characters long; accepted: up to {_PATH_BYTES}")
    return text


def short_line(text: str) -> str:
    """As `visible_line`, no longer than can be read."""
    if len(visible_line(text)) > _LONGEST_LINE:
        raise ValueError(f"is {len(text)} characters long; accepted: up to {_LONGEST_LINE}")
    return text


def file_text(text: str) -> str:
    """The path of a file or directory: relative, absolute, or below a home directory (`~/...`).

    Raises:
        ValueError: no file can be called so.
    """
    size = len(visible_line(text).encode())
    longest = max(len(part.encode()) for part in text.split("/"))
    if longest > _PART_BYTES or size > _PATH_BYTES:
        raise ValueError(
            f"is too long for a path; accepted: {_PART_BYTES} bytes between slashes, {_PATH_BYTES} in all"
        )
    return text


@contextmanager
def refused_at(place: str) -> Iterator[None]:
    """A text that came from elsewhere than a file is refused with this place.

    Raises:
        UserError: the check inside raised ValueError.
    """
    try:
        yield
    except ValueError as error:
        raise UserError(str(error), place=place) from None


def located(text: str, base: Path) -> Path:
    """The file that a text names: below the home directory, absolute, or relative to `base`.

    Raises:
        UserError: it names a home directory that nobody knows.
    """
    expanded = os.path.expanduser(text)  # noqa: PTH111 - pathlib's raises where there is no home
    if expanded.startswith("~"):
        raise UserError("no home directory is known", found=text, accepted="a path without `~`")
    return base / expanded


def plain_name(text: str) -> str:
    """A name that is also that of a directory.

    Raises:
        ValueError: it has other characters, or more than 80.
    """
    if not _NAME.fullmatch(text) or len(text) > 80:
        raise ValueError(
            "is no name; accepted: up to 80 letters, digits, '.', '_' and '-', with a letter or digit first"
        )
    return text


def device_name(text: str) -> str:
    """The name of a device.

    Raises:
        ValueError: it has other characters, or more than 80.
    """
    if plain_name(text) != text.lower():
        raise ValueError("has capital letters; accepted: lower-case letters, digits, '.', '_' and '-'")
    return text


def identifier(text: str) -> str:
    """A name as Python has them.

    Raises:
        ValueError: it is none.
    """
    if not text.isidentifier() or len(text) > 200:
        raise ValueError("is no name in Python; accepted: letters, digits and '_', with no digit first")
    return text


def object_text(text: str) -> str:
    """`package.module:Name`, an object that Python can import.

    Raises:
        ValueError: not of that form.
    """
    if not _is_object(short_line(text)):
        raise ValueError("names no object of a module; accepted: package.module:Name")
    return text


def _is_object(text: str) -> bool:
    module, _, name = text.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), name))


def workload_parts(reference: str) -> tuple[str, str]:
    """File or module of a workload, and the name of its object or ""."""
    if reference.endswith(".py"):
        return reference, ""
    target, _, name = reference.rpartition(":") if ":" in reference else (reference, "", "")
    return target, name


def workload_text(text: str) -> str:
    """`file.py`, `file.py:name` or `package.module:name`.

    Raises:
        ValueError: none of these.
    """
    target, name = workload_parts(file_text(text))
    if target.endswith(".py") and (name.isidentifier() or target == text):
        return text
    if not _is_object(text):
        raise ValueError("is no workload reference; accepted: file.py, file.py:name, or package.module:name")
    return text


def backend_text(text: str) -> str:
    """A backend's name, or `module:Class` of one that no package names.

    Raises:
        ValueError: neither.
    """
    return object_text(text) if ":" in text else plain_name(text)


def user_text(text: str) -> str:
    """A user's name for ssh.

    Raises:
        ValueError: ssh would take it for something else.
    """
    if not _USER.fullmatch(text):
        raise ValueError("is no user; accepted: letters, digits and . _ @ -, with a letter or digit first")
    return text


def remote_path(text: str) -> str:
    """A path on a device, which no shell there takes apart or expands.

    Raises:
        ValueError: it has spaces, begins with a dash, or with `~`.
    """
    if re.search(r"\s", short_line(text)) or text.startswith("-"):
        raise ValueError("is no path on the device; accepted: no spaces, and no '-' at the beginning")
    if text.startswith("~"):
        raise ValueError(
            "begins with '~', which is not expanded; accepted: an absolute path, or one from the login folder"
        )
    return text


def _type(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(check)


Line = Annotated[str, _type(short_line)]
FileText = Annotated[str, _type(file_text)]
PlainName = Annotated[str, _type(plain_name)]
DeviceName = Annotated[str, _type(device_name)]
Identifier = Annotated[str, _type(identifier)]
WorkloadText = Annotated[str, _type(workload_text)]
BackendText = Annotated[str, _type(backend_text)]
HostText = Annotated[str, _type(host)]
SchedulerAddress = Annotated[str, _type(scheduler_address)]
UserText = Annotated[str, _type(user_text)]
RemotePath = Annotated[str, _type(remote_path)]
