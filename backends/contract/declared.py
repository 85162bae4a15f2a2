"""What a backend that is not ours may declare and answer: a reader for each, and what it accepts in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from ...profiles.precision import Precision
from ...profiles.words import one_line
from .backend import CALIBRATION_METHODS, Array, Artifact, Availability, LayerGroup, Session, TensorSpec
from .given import GivenFile, GivenTensor
from .options import WHEN, RuntimeOption

T = TypeVar("T")
Reader = Callable[[Any], T]


@dataclass(frozen=True)
class Check(Generic[T]):
    """Takes an answer in, or raises WrongError; `accepted` says in words what it takes."""

    read: Reader[T]
    accepted: str


_FORMAT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_KINDS_OF_SPARSITY = ("dense", "channel", "unstructured", "2:4")
_MOST_TEXT, _MOST_BYTES, _MOST_VALUES = 500, 2**20, 20
MOST_HEAD = 256
"""Bytes at the beginning of a file by which its format is known."""


class WrongError(Exception):
    """An answer that cannot be used; the text says why, where its kind alone does not."""


def _of(kind: type[T]) -> Reader[T]:
    def read(value: Any) -> T:
        if not isinstance(value, kind):
            raise WrongError
        return value

    return read


def text(value: Any) -> str:
    """Text in one line."""
    return one_line(_of(str)(value), _MOST_TEXT)


def texts(value: Any) -> tuple[str, ...]:
    """Several texts; a single one, which is a sequence of letters, is most likely meant otherwise."""
    return tuple(text(one) for one in _several(value))


def _several(value: Any) -> Iterable[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise WrongError
    return value


def _name(value: Any) -> str:
    if not text(value):
        raise WrongError
    return text(value)


def _format(value: Any) -> str:
    if not _FORMAT.fullmatch(_of(str)(value)):
        raise WrongError
    return str(value)


def _methods(value: Any) -> tuple[str, ...]:
    found = texts(value)
    if not found or not set(found) <= set(CALIBRATION_METHODS):
        raise WrongError
    return found


def _levels(value: Any) -> Mapping[int, int]:
    found = dict(_of(Mapping)(value))  # type: ignore[type-abstract]
    if not all(type(one) is int and one > 0 for pair in found.items() for one in pair):
        raise WrongError
    return found


def _reasons(value: Any) -> Mapping[str, str]:
    found = {text(key): text(reason) for key, reason in dict(_of(Mapping)(value)).items()}  # type: ignore[type-abstract]
    if not set(found) <= set(_KINDS_OF_SPARSITY):
        raise WrongError
    return found


def _magic(value: Any) -> tuple[int, bytes]:
    if len(_of(tuple)(value)) != 2:
        raise WrongError
    where, mark = value
    if type(where) is not int or not 0 <= where <= MOST_HEAD or len(_of(bytes)(mark)) > MOST_HEAD:
        raise WrongError
    return where, mark


def _recipes(value: Any) -> Mapping[Precision, int]:
    found = dict(_of(Mapping)(value))  # type: ignore[type-abstract]
    if not set(found) <= set(Precision):
        raise WrongError
    return {Precision(one): _of(int)(number) for one, number in found.items()}


_TEXT = "text"
_TEXTS = 'a tuple of texts, such as ("my-runtime",)'
CHECKS: Mapping[str, Check[Any]] = {
    "name": Check(_name, "text, the word that stands for the backend"),
    "title": Check(text, _TEXT),
    "packages": Check(texts, _TEXTS),
    "on_device": Check(texts, _TEXTS),
    "shaped_by": Check(texts, _TEXTS),
    "recipes": Check(_recipes, 'a mapping of precisions to whole numbers, such as {"fp16": 1}'),
    "install": Check(text, _TEXT),
    "source_format": Check(_format, f"text that matches {_FORMAT.pattern}: it ends the name of a file"),
    "source_title": Check(text, _TEXT),
    "exporters": Check(texts, _TEXTS),
    "magic": Check(_magic, 'a place and bytes, such as (4, b"TFL3")'),
    "fixed_batch": Check(_of(bool), "True or False"),
    "calibration_methods": Check(_methods, f"a tuple of some of {', '.join(CALIBRATION_METHODS)}"),
    "weight_levels": Check(_levels, "a mapping of bits to the largest level, such as {8: 127}"),
    "as_given": Check(_of(bool), "True or False"),
    "compiles_on_device": Check(_of(bool), "True or False"),
    "value_dependent": Check(_reasons, f"a mapping of some of {', '.join(_KINDS_OF_SPARSITY)} to the reason"),
    "tunable": Check(_of(bool), "True or False"),
}
"""What a backend declares, by the attribute's name."""


def _availability(value: Any) -> Availability:
    found = _of(Availability)(value)
    return Availability(
        installed=_of(bool)(found.installed),
        version=text(found.version),
        reason=text(found.reason),
        install=text(found.install),
    )


def _precisions(value: Any) -> tuple[Precision, ...] | None:
    if value is None:
        return None
    try:
        return tuple(dict.fromkeys(Precision(one) for one in _several(value)))
    except ValueError as error:
        raise WrongError(str(error)) from None


def _file(value: Any) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, Path) or not value.is_file() or value.stat().st_size > _MOST_BYTES:
        raise WrongError
    try:
        value.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongError(str(error)) from None
    return value


def _outputs(value: Any) -> dict[str, Array]:
    found = {text(name): np.asarray(array) for name, array in dict(_of(Mapping)(value)).items()}  # type: ignore[type-abstract]
    if not found or any(array.dtype.kind not in "biuf" or not array.ndim for array in found.values()):
        raise WrongError
    return found


def _groups(value: Any) -> tuple[LayerGroup, ...]:
    return tuple(_group(_of(LayerGroup)(one)) for one in _several(value))


def _group(value: LayerGroup) -> LayerGroup:
    layers = tuple(_of(str)(layer) for layer in _several(value.layers))
    if not layers or not isinstance(value.weights, (int, np.integer)) or value.weights < 0:
        raise WrongError
    return LayerGroup(name=text(value.name), layers=layers, weights=int(value.weights))


def _options(value: Any) -> tuple[RuntimeOption, ...]:
    found = tuple(_option(_of(RuntimeOption)(one)) for one in _several(value))
    if len({one.name for one in found}) < len(found):
        raise WrongError("two options of one name")
    return found


def _option(value: RuntimeOption) -> RuntimeOption:
    values = tuple(_word(one) for one in _several(value.values))
    if value.default not in values or not 1 < len(values) == len(set(values)) <= _MOST_VALUES:
        raise WrongError(f"an option has 2 to {_MOST_VALUES} values, none twice, and its default is one")
    if value.when not in WHEN:
        raise WrongError(f"an option is told when the runtime has to {' or '.join(WHEN)} something")
    return RuntimeOption(
        name=_word(value.name),
        values=values,
        default=value.default,
        does=text(value.does),
        when=value.when,
        exact=_of(bool)(value.exact),
    )


def _word(value: Any) -> str:
    if not _WORD.fullmatch(_of(str)(value)):
        raise WrongError(f"names of options and their values match {_WORD.pattern}")
    return str(value)


def _facts(value: Any) -> dict[str, Any]:
    return {text(name): _fact(one) for name, one in dict(_of(Mapping)(value)).items()}  # type: ignore[type-abstract]


def _fact(value: Any) -> str | float:
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, int | float | np.number) or not -(2.0**63) < value < 2.0**63:
        raise WrongError("facts are texts and finite numbers")
    return int(value) if float(value).is_integer() else float(value)


def _session(value: Any) -> Session:
    found: Session = _of(Session)(value)  # type: ignore[type-abstract]
    for specs in (getattr(found, name, None) for name in ("inputs", "outputs")):
        if not specs or not all(isinstance(spec, TensorSpec) for spec in _several(specs)):
            raise WrongError("`inputs` and `outputs` of a session are tuples of TensorSpec")
    if not all(isinstance(one, str) for pair in _of(Mapping)(found.taken).items() for one in pair):  # type: ignore[type-abstract]
        raise WrongError("`taken` of a session maps options to values, both texts")
    return found


def _given(value: Any) -> GivenFile:
    found = _of(GivenFile)(value)
    for ends in (found.inputs, found.outputs):
        if not ends or not all(isinstance(one, GivenTensor) for one in _several(ends)):
            raise WrongError("`inputs` and `outputs` are tuples of GivenTensor")
    return found


AVAILABILITY = Check(_availability, "Availability(installed=..., version=..., reason=..., install=...)")
PRECISIONS = Check(_precisions, f"None, or a tuple of {', '.join(map(str, Precision))}")
TARGET = Check(text, _TEXT)
YES_OR_NO = Check(_of(bool), "True or False")
FILE = Check(_file, "None, or the Path of a text file")
OUTPUTS = Check(_outputs, "arrays of numbers by the output's name")
GROUPS = Check(_groups, "a tuple of LayerGroup(name=..., layers=(...), weights=...)")
OPTIONS = Check(
    _options,
    'a tuple of RuntimeOption(name=..., values=(...), default=..., does="...", when=..., exact=...)',
)
FACTS = Check(_facts, 'texts and numbers by name, such as {"tasks": 15, "trials": 240, "failed": 0}')
ARTIFACT = Check(
    _of(Artifact), "Artifact(path=..., backend=..., precision=..., size_bytes=..., weight_bytes=...)"
)
GIVEN = Check(_given, "GivenFile(inputs=(...), outputs=(...), ...)")
CONTENT = Check(_of(bytes), "bytes")
SESSION = Check(_session, "a Session, whose `inputs` and `outputs` are tuples of TensorSpec")
