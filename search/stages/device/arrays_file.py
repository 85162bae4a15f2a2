"""Arrays by name in a file that `numpy.load` reads."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...workload.workload import Array


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write them. `numpy.savez` itself cannot hold an array called "file"."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def read_arrays(path: Path) -> dict[str, Array]:
    """Read them back."""
    with np.load(path) as arrays:
        return dict(arrays)
