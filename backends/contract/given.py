"""A model that is handed in as a file: what it is, before anything is made of it, and how its codes are read
as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.precision import Precision

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the file holds: what quantized it ("": nothing), and the most axes of its float constants.

    `source_format` and `title` are those of its format, `batch` is the one that it fixes (0: free, or not
    looked at).
    """

    quantized: str
    largest_rank: int
    source_format: str
    title: str
    batch: int = 0

    def unfit(self, precision: Precision) -> str:
        """Why the model cannot be had at a precision, on whatever backend; empty where it may."""
        if precision is Precision.GIVEN:
            return "" if self.quantized else "the model is not quantized: as it is it is called fp32"
        if self.quantized:
            return (
                f"the model is quantized already ({self.quantized}): it is measured as it is; to search "
                "precisions, hand in the float model that it was made from"
            )
        if self.largest_rank < _least_rank(precision):
            return "the model has no float weights that another precision could change (no neural network?)"
        return ""


def _least_rank(precision: Precision) -> int:
    """Axes of a constant that a precision changes: casts take vectors too, quantizers matrices."""
    return 0 if precision is Precision.FP32 else 1 if precision in (Precision.FP16, Precision.BF16) else 2


@dataclass(frozen=True, kw_only=True)
class GivenTensor:
    """An input or output of the file: -1 in `shape` is an axis without a size. A whole number q in it stands
    for `scale * (q - zero_point)`; with a scale of 0 it stands for itself."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def coded(self) -> bool:
        """Whether its whole numbers stand for others."""
        return self.scale > 0 and np.dtype(self.dtype).kind in "iu"

    def codes(self, numbers: Array) -> Array:
        """Numbers as the whole ones that stand for them; what holds whole numbers already is left."""
        if not self.coded or numbers.dtype.kind != "f":
            return numbers
        ends = np.iinfo(self.dtype)
        found = np.rint(numbers.astype(np.float64) / self.scale) + self.zero_point
        return np.asarray(np.clip(found, ends.min, ends.max), self.dtype)

    def numbers(self, codes: Array) -> Array:
        """What such whole numbers stand for."""
        if not self.coded or codes.dtype.kind not in "iu":
            return codes
        return np.asarray((codes.astype(np.int64) - self.zero_point) * np.float64(self.scale), np.float32)


@dataclass(frozen=True, kw_only=True)
class GivenFile(Given):
    """A file in a backend's own format, with its inputs and outputs in their order, the number of its
    weights, and sentences on what was chosen in it."""

    inputs: tuple[GivenTensor, ...]
    outputs: tuple[GivenTensor, ...]
    parameters: int
    notes: tuple[str, ...] = ()

    def fed(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Samples as the file takes them."""
        by_name = {tensor.name: tensor for tensor in self.inputs}
        return {name: by_name[name].codes(array) for name, array in inputs.items()}

    def read(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs as numbers, in the file's order."""
        return {one.name: one.numbers(outputs[one.name]) for one in self.outputs}
