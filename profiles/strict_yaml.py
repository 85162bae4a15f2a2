"""Reading YAML into frozen models so that every mistake of one file is named at once, with its place.

Used for profiles and the rules of backends; any other YAML file of the project can be read the same way.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def read_model(model: type[Model], path: Path, what: str = "file") -> Model:
    """Read the YAML file at `path` as `model`; `what` names such files in messages ("profile").

    Raises:
        UserError: the file is missing, is not YAML, or does not fit the model (all problems in one message).
    """
    return validate(model, read_mapping(path, what), str(path), what)


def read_mapping(path: Path, what: str = "file") -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        UserError: the file cannot be read, is not YAML, has a key twice, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "not UTF-8 text"
        raise UserError(
            f"the {what} cannot be read ({reason})", place=str(path), remedy="check the path"
        ) from None
    try:
        data = yaml.load(text, Loader=_NoDuplicates)  # noqa: S506 - derived from SafeLoader
    except yaml.YAMLError as error:
        raise _syntax_error(error, path) from None
    if not isinstance(data, dict):
        raise UserError(
            f"the {what} is not a mapping of keys to values",
            place=str(path),
            found="nothing" if data is None else type(data).__name__,
        )
    return data


def validate(model: type[Model], data: dict[str, Any], place: str, what: str = "file") -> Model:
    """`data` as a value of `model`, strictly typed.

    Raises:
        UserError: it does not fit; names every problem with its dotted path and what would be accepted.
    """
    try:
        # By way of JSON, because strict validation takes lists for tuples and text for enums only there.
        return model.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        problems = [_problem(model, detail) for detail in error.errors(include_url=False)]
    raise _combined(problems, place, what)


def suggestion(word: str, known: Iterable[str]) -> str:
    """The known word that comes closest to a mistyped one, or "" where none is near."""
    matches = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""


class _NoDuplicates(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, where YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True) if key_node.tag != _MERGE else None
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", key_node.start_mark)
            seen.add(key if isinstance(key, str) else None)
        return super().construct_mapping(node, deep)


_MERGE = "tag:yaml.org,2002:merge"


def _syntax_error(error: yaml.YAMLError, path: Path) -> UserError:
    mark = getattr(error, "problem_mark", None)
    place = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
    problem = getattr(error, "problem", None) or str(error)
    return UserError(
        f"not valid YAML: {problem}", place=place, remedy="quote texts that contain ': ' or ' #'; no tabs"
    )


@dataclass(frozen=True, kw_only=True)
class _Problem:
    path: str
    text: str
    found: str = ""
    accepted: str = ""


def _combined(problems: list[_Problem], place: str, what: str) -> UserError:
    if len(problems) == 1:
        only = problems[0]
        where = f"{place}: {only.path}" if only.path else place
        return UserError(only.text, place=where, found=only.found, accepted=only.accepted)
    lines = [f"{len(problems)} problems in this {what}"]
    for item in problems:
        line = f"    {item.path}: {item.text}" if item.path else f"    {item.text}"
        line += f"; found: {item.found}" if item.found else ""
        lines.append(line + (f"; accepted: {item.accepted}" if item.accepted else ""))
    return UserError("\n".join(lines), place=place)


def _problem(model: type[BaseModel], detail: ErrorDetails) -> _Problem:
    """One pydantic error in our words."""
    path, siblings = _walk(model, detail["loc"])
    kind, key = detail["type"], str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        near = suggestion(key, siblings)
        hint = f"; did you mean {near!r}?" if near else ""
        return _Problem(path=path, text=f"unknown key {key!r}{hint}", accepted=", ".join(siblings))
    if kind == "missing":
        return _Problem(path=path, text=f"missing key {key!r}")
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    text = text.replace("should be an object", "should be a mapping of keys to values")
    context = detail.get("ctx", {})
    accepted = str(context.get("expected") or context.get("expected_tags") or "").replace("'", "")
    found = str(context["tag"]) if "tag" in context else _shown(detail["input"])
    if accepted:
        text = "not one of the accepted words"
    elif kind.startswith("string_") and not str(detail["input"]).strip():
        text, found = "must not be empty", ""
    elif kind == "string_type" and not isinstance(detail["input"], dict | list):
        accepted = f"text: write it in quotes ({_UNQUOTED})"
    elif kind == "string_pattern_mismatch":
        text, accepted = "not accepted in this form", f"text matching {context.get('pattern')}"
    return _Problem(path=path, text=text, found=found, accepted=accepted)


_UNQUOTED = "unquoted, YAML reads null and ~ as nothing, yes and no as truth values, 5 as a number"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return ""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _walk(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, list[str]]:
    """Dotted path of an error as the file has it, and the keys that are accepted beside its last part.

    Pydantic puts the tag of a union into its path; it stands nowhere in the file and is left out.
    """
    models: list[type[BaseModel]] = [model]
    parts: list[str] = []
    siblings: list[str] = []
    for key in loc:
        if key == "[key]":  # the key itself is wrong, not its value
            continue
        siblings = sorted({name for item in models for name in item.model_fields})
        inner = [item.model_fields[str(key)].annotation for item in models if str(key) in item.model_fields]
        tag_of = _tagged(models, str(key))
        if inner:
            models = [found for annotation in inner for found in _models_in(annotation)]
        elif len(models) > 1 and tag_of:
            models = tag_of
            continue
        parts.append(str(key))
    return ".".join(parts), siblings


def _tagged(models: list[type[BaseModel]], tag: str) -> list[type[BaseModel]]:
    return [m for m in models if "kind" in m.model_fields and m.model_fields["kind"].default == tag]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models_in(inner)]
