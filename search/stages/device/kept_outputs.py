"""The outputs of an artifact over a split, as they are kept with its score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...store.store import Entry
from ...workload.metric import Array
from ...workload.outputs import OutputChoice

_FILE = "outputs.npz"
_PRIMARY, _OTHER = "outputs", "output "  # the first as it was called when there was no other


def save_kept(path: Path, outputs: Mapping[str, Array], choice: OutputChoice) -> None:
    """Write the primary output and those that the metric is given."""
    others = {_OTHER + name: outputs[name] for name in choice.scored if name != choice.primary}
    arrays = {_PRIMARY: outputs[choice.primary], **others}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def primary_outputs(scored: Entry) -> Array:
    """The primary output of an artifact for all samples (axis 0) of the split that it was scored on."""

    def primary(path: Path) -> Array:
        with np.load(path) as arrays:
            return np.asarray(arrays[_PRIMARY])

    return scored.read(_FILE, primary)
