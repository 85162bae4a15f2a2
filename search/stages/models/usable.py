"""A model that exists only as a file, and was seen to run on the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...workload.outputs import OutputChoice
from ...workload.workload import Array, Metric, Split, Splits
from .onnx_outputs import check_reads_input
from .output_checks import VALIDATION, check_outputs, check_teacher
from .teacher_checks import two_passes

LOOKED_AT = 64
"""Samples that tell which output is meant, and that nothing was changed on the way."""


class Runs(Protocol):
    """What runs the model."""

    def outputs(self, data: Mapping[str, Array], batch: int) -> dict[str, Array]:
        """All outputs by name for samples along axis 0, that many rows at once. UserError where it fails."""


@dataclass(frozen=True, kw_only=True)
class Usable:
    """The model's file, what runs it, which outputs are meant, all outputs for a few samples of validation,
    and sentences on all that."""

    content: bytes
    run: Runs
    batch: int
    choice: OutputChoice
    few: Mapping[str, Array]
    notes: tuple[str, ...]

    def quality(self, splits: Splits, metric: Metric, place: str) -> float:
        """Quality on validation, if the outputs fit labels and metric and are better than chance.

        Raises:
            UserError: they do not, or are not.
        """
        split = splits.validation
        outputs, primary = self.run.outputs(split.inputs, self.batch), self.choice.primary
        check_outputs(outputs[primary], split, metric, f"{place}, {VALIDATION}")
        check_reads_input(outputs[primary], primary, place)
        return check_teacher(self.choice.for_metric(outputs), splits, metric)


def again(run: Runs, sample: Split, batch: int, output: str, first: Array) -> list[str]:
    """What the same samples in another order and other batches tell."""
    rows = np.arange(len(sample))[::-1]
    inputs = {name: array[rows] for name, array in sample.inputs.items()}
    return two_passes(first, run.outputs(inputs, batch)[output][rows])
