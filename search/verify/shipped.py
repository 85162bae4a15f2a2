"""An artifact as it was shipped or kept: its file, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends.contract.backend import batches
from ...backends.contract.values import TensorSpec
from ...profiles.errors import StageError
from ...profiles.precision import Precision
from ..bundles.bundle import Bundle, ReferenceArtifact
from ..record.setting import Setting

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A compiled file. `name` is what checks call it ("the bundle", "trial 3"); `versions` are those of its
    runtime's packages when it was made."""

    name: str
    backend: str
    path: Path
    setting: Setting
    precision: Precision
    inputs: tuple[TensorSpec, ...]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Of its file."""
        return self.path.stat().st_size

    def fed(self, data: Mapping[str, Array]) -> dict[str, Array]:
        """Samples under the names and in the numbers that it takes; where it has other names than they, by
        their order: the same model in another runtime may call them otherwise."""
        named = data if {spec.name for spec in self.inputs} <= data.keys() else self._by_order(data)
        return {spec.name: np.asarray(named[spec.name], dtype=np.dtype(spec.dtype)) for spec in self.inputs}

    def _by_order(self, data: Mapping[str, Array]) -> dict[str, Array]:
        if len(data) != len(self.inputs):
            wanted, given = (", ".join(names) for names in ((spec.name for spec in self.inputs), data))
            raise StageError("open", f"{self.name} takes the inputs {wanted}, the samples have {given}")
        return {spec.name: array for spec, array in zip(self.inputs, data.values(), strict=True)}

    def feed(self, data: Mapping[str, Array]) -> dict[str, Array]:
        """What it is timed with: the first samples, as many as it takes at once."""
        first = {name: array[: self.setting.batch] for name, array in self.fed(data).items()}
        return next(batches(first, self.setting.batch))


def of_bundle(bundle: Bundle) -> Shipped:
    """The artifact of a bundle."""
    return Shipped(
        name="the bundle",
        backend=bundle.backend,
        path=bundle.artifact,
        setting=_setting(bundle),
        precision=bundle.precision,
        inputs=bundle.inputs,
        versions=bundle.versions,
    )


def of_reference(reference: ReferenceArtifact) -> Shipped:
    """The artifact that travels along."""
    return Shipped(
        name="the reference",
        backend=reference.backend,
        path=reference.path,
        setting=_setting(reference),
        precision=reference.precision,
        inputs=reference.inputs,
        versions=reference.versions,
    )


def _setting(of: Bundle | ReferenceArtifact) -> Setting:
    return Setting(threads=of.threads, batch=of.batch, options=tuple(of.options.items()))
