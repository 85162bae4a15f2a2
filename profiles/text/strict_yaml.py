"""Reading YAML into frozen models so that every mistake of one file is named at once, with its place.

Used for study files, profiles and the rules of backends; any other YAML of the project is read the same way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .marks import Keys
from .problems import refusal
from .yaml_document import Document, read_document
from .yaml_text import read_text
from .yaml_values import as_text

Model = TypeVar("Model", bound=BaseModel)


class _Dumper(yaml.SafeDumper):
    """Writes texts so that this reader takes them for texts."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if as_text(text) == text else '"'
    )


_Dumper.add_representer(str, _text)


def to_yaml(data: Mapping[str, Any]) -> str:
    """Plain values as YAML in blocks, which this reader reads as what they are."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def read_model(model: type[Model], path: Path, what: str = "file") -> Model:
    """Read the YAML file at `path` as `model`; `what` names such files in messages ("profile").

    Raises:
        UserError: the file is missing, is not YAML, or does not fit the model (all problems in one message).
    """
    return read_with_places(model, path, what)[0]


def read_with_places(
    model: type[Model], path: Path, what: str, free: Sequence[Keys] = ()
) -> tuple[Model, Document]:
    """As `read_model`, with the document, which knows the place of each value. `free`: where values have no
    type that says how to read them (see `read_document`).

    Raises:
        UserError: as `read_model`.
    """
    document = read_document(read_text(path, what), str(path), what, free)
    return validate(model, document, what), document


def validate(model: type[Model], document: Document, what: str = "file") -> Model:
    """A document as a value of `model`, strictly typed.

    Raises:
        UserError: it does not fit; names every problem with its place and what would be accepted.
    """
    try:
        # By way of JSON, because strict validation takes lists for tuples and text for enums only there.
        return model.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        errors = error.errors(include_url=False)
    raise refusal(model, errors, document, what)
