"""What was recorded of a bundle's artifact: samples, its outputs for them, and which of these count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.words import one_line
from ..bundles.bundle import Bundle
from ..bundles.manifest import AGAIN
from ..record.metrics import metric_info
from ..stages.device.arrays_file import read_arrays
from ..workload.outputs import OutputChoice
from .shipped import Array


@dataclass(frozen=True, kw_only=True)
class RecordedSamples:
    """Samples by the names of the inputs, and what the artifact gave for them by those of its outputs.
    `choice` says which the metric is given; `targets` are there where they travel along; `classes`: the
    metric is one of classes."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    targets: Array | None
    choice: OutputChoice
    classes: bool = False

    @property
    def count(self) -> int:
        """How many samples."""
        return len(next(iter(self.inputs.values())))


def recorded_of(bundle: Bundle) -> RecordedSamples | None:
    """A bundle's own samples; of format 1, the one batch that it has. None where it has none.

    Raises:
        UserError: they cannot be read.
    """
    if bundle.samples is not None:
        arrays, said = bundle.samples.arrays(), bundle.samples
        choice = OutputChoice(
            names=said.outputs, primary=said.primary, scored=said.scored, as_array=said.as_array
        )
        inputs, outputs, targets = arrays.inputs, arrays.outputs, arrays.targets
    elif bundle.sample is not None and bundle.expected is not None:
        inputs, outputs, targets = _read(bundle.sample), _read(bundle.expected), None
        names = tuple(outputs)
        choice = OutputChoice(names=names, primary=names[0], scored=names[:1])
    else:
        return None
    classes = metric_info(bundle.quality).unit == "share"
    return RecordedSamples(inputs=inputs, outputs=outputs, targets=targets, choice=choice, classes=classes)


def _read(path: Path) -> dict[str, Array]:
    try:
        found = read_arrays(path)
    except Exception as error:  # whatever numpy says of a file that is none
        raise _unreadable(path, one_line(str(error) or type(error).__name__, 200)) from error
    if not found or any(not array.ndim or not len(array) for array in found.values()):
        raise _unreadable(path, "it holds no samples")
    return found


def _unreadable(path: Path, found: str) -> UserError:
    return UserError("this bundle's samples cannot be read", place=str(path), found=found, remedy=AGAIN)
