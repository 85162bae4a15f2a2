"""Lists and times in words, the same in messages, notes and on pages."""

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


def counted(number: int, thing: str) -> str:
    """ "1 candidate", "2 candidates"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def duration(seconds: float) -> str:
    """ "3 min 20 s"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def one_line(text: str, most: int) -> str:
    """A text of others in one line of at most so many characters, without those that no line shows."""
    head = text[: 8 * most].strip()
    words = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    return words if len(words) <= most and len(text) <= 8 * most else f"{words[: most - 3]}..."


def printable(text: str, most: int = 4096) -> str:
    """The end of a text that came from elsewhere, so that it can be shown and stored anywhere: what steers a
    terminal, and halves of characters, are replaced."""
    return "".join(map(_printable, text[-most:]))


def escaped(text: str) -> str:
    """A text in one line, with every character that cannot be shown as its escape: what names a file stays
    telling."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _printable(character: str) -> str:
    if character.isspace():
        return character if character in "\n\t" else " "
    return character if character.isprintable() else "\ufffd"
