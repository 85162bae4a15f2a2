"""Where the windows of a convolution or a pooling lie: strides, dilations and padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from .operators import Node


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Sizes along the axes that are no batch and no channel; padding before and after each."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def spatial(self) -> int:
        """The number of axes."""
        return len(self.kernel)

    @property
    def even(self) -> bool:
        """Whether as much stands before as after."""
        return self.before == self.after

    def padded(self, x: Tensor, value: float = 0.0) -> Tensor:
        """The input with its padding in place."""
        widths = [w for axis in reversed(range(self.spatial)) for w in (self.before[axis], self.after[axis])]
        return F.pad(x, widths, value=value) if any(widths) else x


def windows(node: Node, kernel: Sequence[int], sizes: Sequence[int]) -> Windows:
    """The windows of a node on an input of these sizes."""
    ones = [1] * len(kernel)
    strides, dilations = node.get("strides", ones), node.get("dilations", ones)
    pads = list(node.get("pads", [0] * 2 * len(kernel)))
    half = len(kernel)
    before, after = pads[:half], pads[half:]
    if (auto := node.get("auto_pad", "NOTSET")).startswith("SAME"):
        missing = [
            max(0, (math.ceil(size / stride) - 1) * stride + (width - 1) * dilation + 1 - size)
            for size, stride, width, dilation in zip(sizes, strides, kernel, dilations, strict=True)
        ]
        less, more = [one // 2 for one in missing], [one - one // 2 for one in missing]
        before, after = (less, more) if auto == "SAME_UPPER" else (more, less)
    return Windows(
        kernel=tuple(kernel),
        strides=tuple(strides),
        dilations=tuple(dilations),
        before=tuple(before),
        after=tuple(after),
    )
