"""What the manifest of a bundle says, typed: formats 1 and 2. Whoever wrote it may have been anybody."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from ...backends.contract.values import TensorSpec
from ...profiles.errors import UserError
from ...profiles.files import file_inside, open_regular
from ...profiles.precision import Precision
from ...profiles.quantity import Quantity
from ...profiles.words import escaped, listed
from ..record.plausible import doubt
from .files import MANIFEST

NEWEST = 2
"""The format that is written; older ones are read as well."""
AGAIN = "`paretune export` writes it again"
_MOST_BYTES = 2**26
_Batch = Annotated[int, Field(ge=1, le=2**20)]
_Threads = Annotated[int, Field(ge=1, le=1024)]
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Name = Annotated[str, Field(min_length=1, max_length=255)]


@dataclass(frozen=True, kw_only=True)
class HashedFile:
    """What a file of the bundle has to be."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: _Count


@dataclass(frozen=True, kw_only=True)
class QualityOf:
    """The metric's name, and the split that the manifest's number is of. `by` says how it can be computed
    again: "built-in" by that name, or "workload": the function is the workload's own ("": not said)."""

    metric: _Name
    split: Literal["test", "validation"]
    by: Literal["built-in", "workload", ""] = ""


@dataclass(frozen=True, kw_only=True)
class SamplesSaid:
    """The samples that travel along: where they lie, how many of which split, which outputs were recorded,
    which of them the metric is given (`as_array`: one, as an array), and the quality on exactly these. A
    whole number q in an output of `codes` stands for `scale * (q - zero_point)`."""

    file: _Name
    count: Annotated[int, Field(ge=1, le=2**20)]
    split: Literal["test", "validation"]
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]
    primary: str
    scored: tuple[str, ...]
    as_array: bool = True
    codes: dict[str, tuple[float, int]] = field(default_factory=dict)
    targets: bool = True
    quality: Quantity | None = None
    taken_on: str = ""


@dataclass(frozen=True, kw_only=True)
class ReferenceSaid:
    """The artifact that latencies are told against. `ratio` is what a sample takes in the bundle's artifact
    as a share of what it takes in this one, as it was measured."""

    file: _Name
    artifact_key: str = ""
    backend: _Name
    precision: Precision
    batch: _Batch
    threads: _Threads
    options: dict[str, str] = field(default_factory=dict)
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    versions: dict[str, str] = field(default_factory=dict)
    ratio: Quantity | None = None
    latency_ms: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class ManifestSaid:
    """All that is read of a manifest."""

    format: Annotated[int, Field(ge=1, le=NEWEST)]
    paretune: str
    study: str
    ended: str = ""
    trial: _Count
    title: str
    digest: str = ""
    backend: _Name
    precision: Precision
    artifact: _Name
    artifact_key: str = ""
    sample: str | None = None
    expected: str | None = None
    batch: _Batch
    threads: _Threads
    options: dict[str, str] = field(default_factory=dict)
    compiled_with: dict[str, str] = field(default_factory=dict)
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    quality: QualityOf
    higher_is_better: bool | None = None
    metrics: dict[str, Quantity]
    weight_bytes: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    profile: str = ""
    estimated: bool = False
    environment: dict[str, Any] = field(default_factory=dict)
    samples: SamplesSaid | None = None
    reference: ReferenceSaid | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    files: dict[str, HashedFile]


_MANIFEST = TypeAdapter(ManifestSaid)


def read_said(folder: Path) -> ManifestSaid:
    """What the manifest in a folder says.

    Raises:
        UserError: there is none, it cannot be read, is of a newer version, or says what cannot be.
    """
    said = _said(folder / MANIFEST, _content(folder))
    wrong = doubt(said) or _misnamed(said) or _unlike(said)
    if wrong:
        raise _damaged(folder / MANIFEST, wrong)
    return said


def path_in(folder: Path, name: str) -> Path:
    """The path of a file that a manifest names.

    Raises:
        UserError: the name leads out of the folder, by itself or by a link on the way.
    """
    path = folder / name
    try:
        inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except ValueError:  # a name that no file can have
        inside = False
    if not inside or _is_odd(name):
        raise _damaged(folder / MANIFEST, f"it names {escaped(name)!r}, which is no file of the bundle")
    return path


def _content(folder: Path) -> bytes:
    path = folder / MANIFEST
    try:
        with open_regular(file_inside(folder, MANIFEST)) as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not path.is_symlink():
            raise UserError(
                "no bundle here",
                place=str(folder),
                found=f"no {MANIFEST}" if folder.is_dir() else "no such folder",
                accepted="a folder that `paretune export` or the end of a run has written",
            ) from None
        raise _damaged(path, error.strerror or str(error)) from None
    if len(content) > _MOST_BYTES:
        raise _damaged(path, f"it has more than {_MOST_BYTES} bytes")
    return content


def _said(path: Path, content: bytes) -> ManifestSaid:
    try:
        return _MANIFEST.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        if place == "format" and first["type"] == "less_than_equal":
            raise UserError(
                "the bundle is of a newer version of Paretune",
                place=str(path),
                found=f"format {first['input']}",
                accepted=f"format 1 to {NEWEST}",
                remedy="use the version that wrote it, or a newer one",
            ) from None
        raise _damaged(path, escaped(f"{place}: {first['msg']}" if place else first["msg"])) from None
    except RecursionError:
        raise _damaged(path, "it is nested too deeply") from None


def _misnamed(said: ManifestSaid) -> str:
    """Which file it names that it has no hash of."""
    named = {"artifact": said.artifact, "sample": said.sample, "expected": said.expected}
    named["samples.file"] = said.samples.file if said.samples else None
    named["reference.file"] = said.reference.file if said.reference else None
    for place, name in named.items():
        if name is not None and name not in said.files:
            return f"{place} is {escaped(name)!r}, which is not among its files"
    return ""


def _unlike(said: ManifestSaid) -> str:
    """Which of its parts contradict each other."""
    for place, specs in _signatures(said):
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            return f"{place} has names twice: {escaped(listed(names))}"
    if said.samples is None:
        return ""
    samples, known = said.samples, {spec.name for spec in said.outputs}
    if not set(samples.outputs) <= known:
        return f"samples.outputs has others than the artifact: {escaped(listed(samples.outputs))}"
    meant = {samples.primary, *samples.scored, *samples.codes}
    plain = len(samples.scored) == 1 or (samples.scored and not samples.as_array)
    if not plain or not meant <= set(samples.outputs):
        return f"samples means outputs that were not recorded: {escaped(listed(sorted(meant)))}"
    return ""


def _signatures(said: ManifestSaid) -> list[tuple[str, tuple[TensorSpec, ...]]]:
    found = [("inputs", said.inputs), ("outputs", said.outputs)]
    if said.reference:
        found += [("reference.inputs", said.reference.inputs), ("reference.outputs", said.reference.outputs)]
    return found


def _is_odd(name: str) -> bool:
    """One that another system may read otherwise than this one."""
    parts = name.split("/")
    return "\\" in name or "\0" in name or not all(part not in ("", ".", "..") for part in parts)


def _damaged(place: Path, found: str) -> UserError:
    return UserError("this bundle's manifest is damaged", place=str(place), found=found, remedy=AGAIN)
