"""Versions of installed distributions; nothing is imported."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

_WITH_EXTRAS = re.compile(r"([A-Za-z0-9._-]+)\[([A-Za-z0-9._,\s-]+)\]")


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions by name of those distributions that are installed, and say theirs."""
    found = {name: _version(name) for name in names}
    return {name: version for name, version in found.items() if version}


def differing(here: Mapping[str, str], there: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """By name, the versions here and there of what is installed on both in another version."""
    both = [name for name in there if name in here and here[name] != there[name]]
    return {name: (here[name], there[name]) for name in both}


def _version(name: str) -> str | None:
    from importlib import metadata  # a tenth of a runner's start, which asks for no versions

    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError, KeyError):
        return None


def one_command(commands: Iterable[str]) -> list[str]:
    """Commands, of which those that are a plain `pip install` are made one, and extras of a package too."""
    extras: dict[str, list[str]] = {}
    wanted, others = dict[str, None](), []
    for command in dict.fromkeys(commands):
        words = _words(command)
        if words[:2] != ["pip", "install"] or any(word.startswith("-") for word in words):
            others.append(command)
            continue
        for requirement in words[2:]:
            match = _WITH_EXTRAS.fullmatch(requirement)
            wanted[match[1] if match else requirement] = None
            if match:
                extras.setdefault(match[1], []).extend(part.strip() for part in match[2].split(","))
    named = [_requirement(name, extras.get(name, ())) for name in wanted]
    return [*([f"pip install {' '.join(named)}"] if named else []), *others]


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation that does not end: shown as it is
        return []


def _requirement(name: str, extras: Iterable[str]) -> str:
    listed = ",".join(dict.fromkeys(extras))
    return f"'{name}[{listed}]'" if listed else shlex.quote(name)
