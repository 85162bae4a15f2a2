"""Lists in words, the same in messages, notes and on pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def listed(things: Iterable[object], most: int = 5) -> str:
    """ "a, b and 3 more"."""
    names = [str(thing) for thing in things]
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def joined(parts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
