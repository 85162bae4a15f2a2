"""A profile for a board that has none: drafted from what the board says of itself, into a new file."""

from __future__ import annotations

import re
import time
from pathlib import Path

from pydantic import ValidationError

from ...profiles.devices.draft import as_file, drafted, name_of
from ...profiles.devices.gpus import jetson, parse_gpus
from ...profiles.devices.instructions import architecture_of
from ...profiles.devices.loader import load_profile
from ...profiles.devices.schema import Profile, Reach, SshReach
from ...profiles.errors import UserError
from ...profiles.text.named import file_text, located, refused_at
from .board import Board

_DEVICE_TREE = "proc/device-tree/model"
_REACH = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:@]+)(?::(?P<port>\d+))?")


def reach_of(text: str, python: str = "") -> SshReach:
    """How a board is reached, from "pi@board.local:2222".

    Raises:
        UserError: it is not of that form.
    """
    found = _REACH.fullmatch(text)
    parts = {name: value for name, value in (found.groupdict() if found else {}).items() if value}
    if not parts:
        raise _no_reach(repr(text))
    port = {"port": int(parts["port"])} if "port" in parts else {}
    try:
        return SshReach.model_validate({**parts, **port, **({"python": python} if python else {})})
    except ValidationError as error:
        why = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise _no_reach(f"{text!r}: {why}") from None


def _no_reach(found: str) -> UserError:
    return UserError(
        "this says not how a board is reached",
        place="--reach",
        found=found,
        accepted="user@host, host, or user@host:port; an IPv6 address with a port in brackets",
    )


def file_for(name: str, reach: SshReach) -> Path | None:
    """The file that a profile is to be drafted into; None where it is there, for the same board.

    Raises:
        UserError: the name is no file's, or the file is another board's.
    """
    with refused_at("profile"):
        file_text(name)
    path = located(name, Path())
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise UserError(
            "a drafted profile goes into a file of your own",
            found=name,
            accepted=f"a new path that ends in .yaml, such as {name_of(name)}.yaml",
        )
    if not path.exists():
        return path
    there = load_profile(name).reach
    if there != reach:
        raise UserError(
            "the file is there already, and reaches another board: it is not overwritten",
            place=name,
            found=_named(there),
            remedy="leave out `--reach` to use it as it is, or name a new file",
        )
    return None


def _named(reach: Reach) -> str:
    """As YAML has it, in a line."""
    told = reach.model_dump(exclude_none=True)
    return ", ".join(f"{name}: {value}" for name, value in told.items())


def draft(board: Board, reach: SshReach, path: Path) -> Profile:
    """The profile of a board, written to a new file.

    Raises:
        UserError: the board does not tell its processor, or the file cannot be written.
    """
    if not {"proc/cpuinfo", "proc/meminfo"} <= set(board.files):
        raise UserError(
            "no profile can be drafted: the board does not tell its processor and memory",
            found="no /proc/cpuinfo, or no /proc/meminfo",
            remedy="copy the shipped profile that is nearest, and add `reach` to it",
        )
    machine, tree = board.described(), board.files.get(_DEVICE_TREE, "").strip("\0 \n")
    day = time.strftime("%Y-%m-%d")
    made = drafted(
        name_of(path.stem),
        tree or machine.model or architecture_of(board.machine),
        machine,
        parse_gpus(board.gpus) or jetson(tree),
        reach,
        f"read on the board by paretune devices setup on {day}",
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(as_file(made, day))
    except OSError as error:
        raise UserError(
            "the drafted profile cannot be written", place=str(path), found=error.strerror or str(error)
        ) from error
    return load_profile(str(path))
