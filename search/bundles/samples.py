"""The samples that travel in a bundle: what they hold, as arrays in one file.

A name in the file is "input NAME", "output NAME" (what the artifact gave for them when it was scored,
as its session gives it), or "targets". Axis 0 is the samples'.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.errors import UserError
from ...profiles.files import open_regular, sha256_of
from ...profiles.quantity import Quantity
from ...profiles.words import escaped, listed
from .manifest import AGAIN, HashedFile

Array = NDArray[Any]
_INPUT, _OUTPUT, _TARGETS = "input ", "output ", "targets"
_MOST_BYTES = 2**28
NO_ARRAYS = (ValueError, OSError, EOFError, LookupError, TypeError, zipfile.BadZipFile, NotImplementedError)
"""What reading a file of arrays raises that is none."""


@dataclass(frozen=True, kw_only=True)
class SampleArrays:
    """Inputs and recorded outputs by name, and targets where the task has them as an array."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    targets: Array | None


@dataclass(frozen=True, kw_only=True)
class Samples:
    """A bundle's own samples: `count` of the split `split`, in `path`.

    `outputs` are the names of those that were recorded, on the device `taken_on`. The metric is given
    `scored` of them (`as_array`: the one there is, as an array; else by name); `primary` is the one that
    labels belong to. A whole number q in one of `codes` stands for `scale * (q - zero_point)`. `quality` is
    that of the recorded outputs on exactly these samples, with its results by sample where the metric has
    them.
    """

    path: Path
    file: HashedFile
    count: int
    split: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    primary: str
    scored: tuple[str, ...]
    as_array: bool
    codes: dict[str, tuple[float, int]]
    targets: bool
    quality: Quantity | None
    taken_on: str

    def arrays(self) -> SampleArrays:
        """Read them.

        Raises:
            UserError: the file is missing, or is not what the manifest says.
        """
        found = self._read()
        for name, array in found.items():
            if array.ndim == 0 or len(array) != self.count:
                found_rows = f"{escaped(name)} has the shape {list(array.shape)}"
                raise self._damaged(f"{found_rows}, not {self.count} rows")
        wanted = [_INPUT + name for name in self.inputs] + [_OUTPUT + name for name in self.outputs]
        missing = [name for name in (*wanted, *([_TARGETS] if self.targets else ())) if name not in found]
        if missing:
            raise self._damaged(f"no array {escaped(listed(map(repr, missing)))}")
        return _parted({name: array for name, array in found.items() if self.targets or name != _TARGETS})

    def numbers(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs of the artifact as the numbers that they stand for."""
        return {name: _numbers(array, self.codes.get(name)) for name, array in outputs.items()}

    def for_metric(self, outputs: Mapping[str, Array]) -> Array | dict[str, Array]:
        """What the metric is given out of the artifact's outputs, recorded or taken elsewhere."""
        found = self.numbers(outputs)
        return found[self.scored[0]] if self.as_array else {name: found[name] for name in self.scored}

    def _read(self) -> dict[str, Array]:
        try:
            with open_regular(self.path) as file:
                if sha256_of(file) != self.file.sha256:
                    raise self._damaged("it is not the file that was exported")
                file.seek(0)
                _check_size(file)
                file.seek(0)
                with np.load(file, allow_pickle=False) as arrays:
                    return {name: np.asarray(arrays[name]) for name in arrays.files}
        except NO_ARRAYS as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise self._damaged(escaped(said)) from None

    def _damaged(self, found: str) -> UserError:
        return UserError("this bundle's samples are damaged", place=str(self.path), found=found, remedy=AGAIN)


def _check_size(file: Any) -> None:
    """Refuse what would take much more memory than it has bytes on disk."""
    with zipfile.ZipFile(file) as archive:
        if sum(item.file_size for item in archive.infolist()) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES} bytes of arrays")


def _numbers(array: Array, code: tuple[float, int] | None) -> Array:
    if code is None or array.dtype.kind not in "iu":
        return array
    scale, zero_point = code
    return np.asarray((array.astype(np.int64) - zero_point) * np.float64(scale), np.float32)


def _parted(found: Mapping[str, Array]) -> SampleArrays:
    def of(kind: str) -> dict[str, Array]:
        return {name[len(kind) :]: array for name, array in found.items() if name.startswith(kind)}

    return SampleArrays(inputs=of(_INPUT), outputs=of(_OUTPUT), targets=found.get(_TARGETS))


def save_samples(path: Path, arrays: SampleArrays) -> None:
    """Write them; the same arrays give the same bytes."""
    targets = {} if arrays.targets is None else {_TARGETS: arrays.targets}
    named = {
        **{_INPUT + name: array for name, array in arrays.inputs.items()},
        **{_OUTPUT + name: array for name, array in arrays.outputs.items()},
        **targets,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in named.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
