"""What a model costs whatever runs it: the work of each layer, and the most that is alive at one time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from ...profiles.precision import Precision


class Kernel(str, Enum):
    """Kinds of kernels, apart where runtimes have kernels of their own for them.

    CONVOLUTION is one over a window with channels mixed, POINTWISE its 1x1 case, DEPTHWISE the one of each
    channel by itself. PRODUCT is a product of matrices, recurrent layers included. NORM reads its input more
    than once (softmax, layer norm, reductions); MOVE computes nothing (transpose, concat, gather, resize).
    """

    CONVOLUTION = "convolution"
    POINTWISE = "pointwise"
    DEPTHWISE = "depthwise"
    PRODUCT = "product"
    POOL = "pool"
    ELEMENTWISE = "elementwise"
    NORM = "norm"
    MOVE = "move"

    @property
    def multiplies(self) -> bool:
        """Whether it is bound by multiply-adds where memory is not in its way."""
        return self in MULTIPLYING


MULTIPLYING = (Kernel.CONVOLUTION, Kernel.POINTWISE, Kernel.DEPTHWISE, Kernel.PRODUCT)


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One node as a runtime runs it: multiply-adds, and elements of weights and of activations.

    `op` is the operator's name where the model came from. `launches` is how many kernels it starts.
    """

    kernel: Kernel
    op: str = ""
    macs: float = 0.0
    weights: float = 0.0
    read: float = 0.0
    written: float = 0.0
    precision: Precision = Precision.FP32
    launches: float = 1.0

    @property
    def weight_bytes(self) -> float:
        """Bytes of its weights at its precision."""
        return self.weights * self.precision.decoded.weight_bits / 8

    @property
    def read_bytes(self) -> float:
        """Bytes of activations that it reads."""
        return self.read * self.precision.decoded.activation_bits / 8

    @property
    def written_bytes(self) -> float:
        """Bytes of activations that it writes."""
        return self.written * self.precision.decoded.activation_bits / 8


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    """All layers of a model at one batch size; `peak_elements`: the most of its activations alive at once."""

    layers: tuple[LayerCost, ...]
    peak_elements: float = 0.0

    @property
    def macs(self) -> float:
        """Multiply-adds of one inference, of the whole batch."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights at their precisions."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def peak_activation_bytes(self) -> float:
        """Bytes of the most activations that are alive at one time, at the widest precision among layers."""
        widest = max((layer.precision.decoded.activation_bits for layer in self.layers), default=32)
        return self.peak_elements * widest / 8

    def at(self, precision: Precision) -> ModelCost:
        """The same model with all layers at another precision."""
        return self._with(replace(layer, precision=precision) for layer in self.layers)

    def _with(self, layers: Iterable[LayerCost]) -> ModelCost:
        return replace(self, layers=tuple(layers))
