"""What a YAML scalar says: a number, a truth value, nothing, or the text that is written.

Versions of YAML disagree about some texts: 12:30:45, 2:4, 017, 1_000 and 2024-01-01 are numbers and dates to
some, texts to others. Here only what is unmistakably a number is one; the rest is the text as written.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import yaml

from ..words import one_line
from .yaml_text import UNWANTED

PLAIN = "plain"
"""The tag of a scalar without quotes and without a tag of its own."""

_STANDARD = "tag:yaml.org,2002:"
_LITERALS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WORDS = {
    **{form: True for word in ("yes", "on") for form in (word, word.capitalize(), word.upper())},
    **{form: False for word in ("no", "off") for form in (word, word.capitalize(), word.upper())},
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+)")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDLIKE = re.compile(r"[A-Za-z0-9_./][\w./-]*(:[\w./-]+)*")
_OCTAL_TO_SOME = re.compile(r"[-+]?0o?[0-9]+")
_MOST_DIGITS = 20
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1  # what databases and runtimes keep whole
_TYPES = {"int": int, "float": float, "bool": bool, "null": type(None)}
_OTHERS = yaml.resolver.Resolver()


def scalar(text: str, tag: str) -> Any:
    """The value of a scalar with this text and tag.

    Raises:
        ValueError: the tag is not accepted, its text does not fit, or no such number can be kept.
    """
    unwanted = UNWANTED.search(text)
    if unwanted:
        raise ValueError(f"a text with the control character U+{ord(unwanted[0]):04X}")
    if tag == PLAIN:
        return _plain(text)
    name = tag.removeprefix(_STANDARD)
    if name in ("!", "str"):
        return text
    if name not in _TYPES:
        accepted = "no tag, or !!str, !!int, !!float, !!bool, !!null"
        raise ValueError(f"the tag {shown_tag(tag)!r} is not read; accepted: {accepted}")
    value = _plain(text)
    if name == "float" and type(value) is int:
        return float(value)
    if type(value) is not _TYPES[name]:
        raise ValueError(f"{one_line(text, 80)} is not what its tag {shown_tag(tag)} says")
    return value


def shown_tag(tag: str) -> str:
    """A tag as files have it."""
    return one_line(tag.replace(_STANDARD, "!!", 1), 80)


def as_text(text: str) -> str:
    """A text on one line as it is written in a file: in quotes where it would be read as something else."""
    plain = _WORDLIKE.fullmatch(text) and _plain(text) == text and not ambiguous(text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def ambiguous(text: str) -> bool:
    """Whether a scalar without quotes is one thing to some readers of YAML and another to others."""
    if text in _WORDS:
        return True
    if not isinstance(_plain(text), str):
        return False
    resolved = _OTHERS.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return shown_tag(str(resolved)) in ("!!int", "!!float", "!!timestamp") or bool(
        _OCTAL_TO_SOME.fullmatch(text)
    )


def _plain(text: str) -> Any:
    if text in _LITERALS:
        return _LITERALS[text]
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    return text


def _integer(text: str) -> int:
    value = int(text, 16 if text.startswith("0x") else 10) if len(text) <= _MOST_DIGITS else _LARGEST + 1
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError(f"{one_line(text, 80)} is too large for a whole number; accepted: up to {_LARGEST}")
    return value


def _float(text: str) -> float:
    value = float(text)
    vanished = value == 0 and any(digit in "123456789" for digit in re.split("[eE]", text)[0])
    if math.isinf(value) or vanished:
        raise ValueError(f"{one_line(text, 80)} is too {'small' if vanished else 'large'} for a number")
    return value + 0.0  # of two zeros one
