"""What pydantic finds wrong with a file, in our words and with line and column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ..errors import UserError
from ..words import counted, one_line
from .marks import Keys, dotted, several
from .yaml_document import Document

_UNQUOTED = "unquoted, YAML reads null and ~ as nothing, yes and no as truth values, 5 as a number"
_FORMS = {
    "string_type": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "model": "a mapping of keys to values",
    "dict": "a mapping of keys to values",
    "tuple": "a list",
    "list": "a list",
}
"""By the beginning of pydantic's name of an error: what would have been accepted."""


@dataclass(frozen=True, kw_only=True)
class _Way:
    """The way to a problem, and the keys that are accepted beside its last one. `union` and `branch`: where
    several kinds of value are accepted, the place of the choice and the kind that the problem is about."""

    keys: Keys
    siblings: tuple[str, ...] = ()
    union: Keys | None = None
    branch: str = ""


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """`kind` is pydantic's name for it."""

    way: _Way
    text: str
    found: str = ""
    accepted: str = ""
    kind: str = ""

    @property
    def line(self) -> str:
        """All of it on one line."""
        line = f"{dotted(self.way.keys)}: {self.text}" if self.way.keys else self.text
        line += f"; found: {self.found}" if self.found else ""
        return line + (f"; accepted: {self.accepted}" if self.accepted else "")


def suggestion(word: str, known: Iterable[str]) -> str:
    """The known word that comes closest to a mistyped one, or "" where none is near."""
    matches = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def refusal(
    model: type[BaseModel], errors: Sequence[ErrorDetails], document: Document, what: str
) -> UserError:
    """All problems of a file in one message."""
    every = [_problem(model, error, document) for error in errors]
    problems = _without_other_branches(_without_consequences(every))
    if len(problems) == 1:
        only = problems[0]
        keys = only.way.keys
        place = document.at(keys) + (f": {dotted(keys)}" if keys else "")
        return UserError(only.text, place=place, found=only.found, accepted=only.accepted)
    return several([(document.mark(item.way.keys), item.line) for item in problems], document.name, what)


def _problem(model: type[BaseModel], error: ErrorDetails, document: Document) -> _Problem:
    """One pydantic error in our words."""
    way = _walk(model, error, document.data)
    kind, key = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden":
        near = suggestion(key, way.siblings)
        hint = f"; did you mean {near!r}?" if near else ""
        return _Problem(
            way=way, text=f"unknown key {one_line(repr(key), 80)}{hint}", accepted=", ".join(way.siblings)
        )
    if kind == "union_tag_not_found":
        return _Problem(way=way, text=f"missing key {error['ctx']['discriminator']}")
    if kind == "missing":
        return _Problem(way=way, text=f"missing key {key!r}")
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    text = text.replace("should be an object", "should be a mapping of keys to values")
    text = text.replace("should be a valid array", "should be a list")
    context = error.get("ctx", {})
    accepted = str(context.get("expected") or context.get("expected_tags") or "").replace("'", "")
    scalar = not isinstance(error["input"], dict | list | tuple)
    found = (
        str(context["tag"]) if "tag" in context else _shown(error["input"], document.written.get(way.keys))
    )
    if accepted:
        text = "not one of the accepted words"
    elif kind.startswith("string_") and not str(error["input"]).strip():
        text, found = "must not be empty", ""
    elif kind == "string_type" and scalar:
        accepted = f"text: write it in quotes ({_UNQUOTED})"
    elif kind in ("int_type", "float_type") and isinstance(error["input"], str):
        accepted = "a plain number, without quotes"
    elif kind == "too_short":
        text = f"needs at least {counted(context['min_length'], 'value')}"
    elif kind == "too_long":
        text = f"takes at most {counted(context['max_length'], 'value')}"
    return _Problem(way=way, text=text, found=found, accepted=accepted, kind=kind)


def _shown(value: Any, written: str | None) -> str:
    if isinstance(value, dict | list | tuple):
        return ""
    if value is None:
        return "nothing"
    return one_line(repr(value) if written is None or isinstance(value, str) else written, 80)


def _walk(model: type[BaseModel], error: ErrorDetails, data: Any) -> _Way:
    """The way to an error as the file has it.

    Where several kinds of value are accepted, pydantic puts the name of one of them into its path; where a
    key itself is wrong, "[key]". Neither stands in the file.
    """
    models: list[type[BaseModel]] = [model]
    keys: Keys = ()
    union: Keys | None = None
    branch = ""
    siblings = tuple(sorted(model.model_fields))
    for position, part in enumerate(error["loc"]):
        missing = error["type"] == "missing" and position == len(error["loc"]) - 1
        if not missing and not _holds(data, part):
            models = _tagged(models, str(part)) or models
            if union is None and part != "[key]" and not isinstance(part, int):
                union, branch = keys, str(part)
            continue
        keys = (*keys, part)
        data = None if missing else data[part]
        siblings = tuple(sorted({name for item in models for name in item.model_fields}))
        inner = [item.model_fields[str(part)].annotation for item in models if str(part) in item.model_fields]
        models = [found for annotation in inner for found in _models_in(annotation)] or models
    return _Way(keys=keys, siblings=siblings, union=union, branch=branch)


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, dict) and part in data


def _tagged(models: list[type[BaseModel]], tag: str) -> list[type[BaseModel]]:
    return [m for m in models if "kind" in m.model_fields and m.model_fields["kind"].default == tag]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models_in(inner)]


def _without_consequences(problems: list[_Problem]) -> list[_Problem]:
    """A list is not too short because some of its values are refused."""

    def refused_inside(keys: Keys) -> bool:
        return any(item.way.keys[: len(keys)] == keys != item.way.keys for item in problems)

    return [item for item in problems if item.kind != "too_short" or not refused_inside(item.way.keys)]


def _without_other_branches(problems: list[_Problem]) -> list[_Problem]:
    """Where several kinds of value are accepted: the problems of the kind that was meant, or one for all."""
    kept: list[_Problem] = []
    for place in dict.fromkeys(item.way.union for item in problems):
        group = [item for item in problems if item.way.union == place]
        inside = [item for item in group if place is not None and len(item.way.keys) > len(place)]
        if place is None or len({item.way.branch for item in group}) == 1:
            kept += group
        elif inside:
            kept += inside
        else:
            kept.append(_none_fits(place, group))
    return list(dict.fromkeys(kept))


def _none_fits(place: Keys, group: list[_Problem]) -> _Problem:
    forms = [
        next((form for start, form in _FORMS.items() if item.kind.startswith(start)), "") for item in group
    ]
    accepted = [form or item.accepted for form, item in zip(forms, group, strict=True)]
    shown = " or ".join(dict.fromkeys(filter(None, accepted)))
    return _Problem(way=_Way(keys=place), text="not accepted here", found=group[0].found, accepted=shown)
