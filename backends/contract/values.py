"""The values that a backend is given and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...profiles.precision import Precision


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a runtime can be used here; `reason` and `install` say why not and what to do."""

    installed: bool
    version: str = ""
    reason: str = ""
    install: str = ""


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Name, numpy dtype name and shape (the batch is axis 0) of an input or output of a session."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """A float model as the export stage wrote it: `format` is its backend's `source_format`. `tuned` is the
    folder of what `Backend.tune` found for its structure; without one it is compiled untuned. `made` is the
    file that `Backend.make` wrote for the same settings; without one it is made now."""

    path: Path
    format: str
    tuned: Path | None = None
    made: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Who makes what several backends run alike, a word that no backend owns. `tools` are the distributions
    that shape its bytes: content keys name their versions."""

    name: str
    tools: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CompileSettings:
    """All that decides the bytes of an artifact beside the source model and the calibration data.

    `calibration_method` and `per_channel` are read only where the precision is calibrated. `nm_sparsity`
    lets the compiler use 2:4 kernels. `target` names a device other than this one where a compiler can
    build for it ("sm86"); empty means the machine that compiles. `check` compares the artifact with the float
    model on the calibration data; it is left out for untrained weights, where agreement means nothing.
    `keep_float` names layers (see `Backend.layers`) that keep float weights and arithmetic: mixed precision.
    `options` are values of `Backend.options` that are told at compiling, those that differ from the default.
    """

    precision: Precision
    batch: int = 1
    calibration_method: str = "minmax"
    per_channel: bool = True
    nm_sparsity: bool = False
    target: str = ""
    check: bool = True
    keep_float: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LayerGroup:
    """Layers of a source model that change precision together, because the runtime fuses them.

    `layers` are the names that `CompileSettings.keep_float` takes; `name` is the one that reports show, and
    `weights` the number of weights that the group holds.
    """

    name: str
    layers: tuple[str, ...]
    weights: int


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A compiled model: one file, and what could be read back from it.

    `weight_bytes` maps the storage type of constant tensors ("int8", "float32", ...) to the bytes they take
    in the file: the proof that a precision was really applied. `notes` are short sentences of the compiler
    worth showing (fallbacks, chosen sparse layers). `versions` holds the packages that shaped the bytes.
    `stored_as` maps each layer that has weights to the storage type they have in the file, read back from it.
    `zero_share` is the share of zeros among the weights as stored (None: not counted). `errors` is, by the
    float model's outputs, what the precision costs on calibration data (`agreement.error_of`), where they
    were compared.
    """

    path: Path
    backend: str
    precision: Precision
    size_bytes: int
    weight_bytes: Mapping[str, int]
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    stored_as: Mapping[str, str] = field(default_factory=dict)
    zero_share: float | None = None
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
