"""The text of a study file as records and reports have it: without the passwords that stand in it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from ...profiles.passwords import without_passwords
from .url import StorageUrl


def without_passwords_of(storage: StorageUrl, text: str) -> str:
    """A study file's text without the passwords of its storage, in whatever way YAML writes them."""
    for start, end, value in reversed(list(_scalars(text))):
        hidden = storage.shown if value == storage.text else storage.without_secrets(value)
        if hidden != value and storage.without_secrets(value) != value:
            text = text[:start] + json.dumps(hidden, ensure_ascii=False) + text[end:]
    return without_passwords(storage.without_secrets(text))


def _scalars(text: str) -> Iterator[tuple[int, int, str]]:
    """Begin, end and value of each scalar of the file, in order."""
    try:
        tokens = list(yaml.scan(text))
    except yaml.YAMLError:
        return
    for token in tokens:
        if isinstance(token, yaml.ScalarToken):
            yield token.start_mark.index, token.end_mark.index, token.value
