"""What runs in a network's forward pass, seen and changed on its way, whatever the code looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

UNITS = frozenset(
    {"relu", "relu6", "gelu", "silu", "hardswish", "hardtanh", "leaky_relu", "elu", "celu", "selu", "mish"}
    | {"threshold", "clamp_min", "softplus", "tanh", "sigmoid", "hardsigmoid", "log_sigmoid_forward", "glu"}
    | {"prelu", "_prelu_kernel", "rrelu_with_noise"}
)
"""Operations whose input has a sign that says whether the unit is active."""
PRODUCTS = frozenset({"convolution", "mm", "addmm", "bmm", "baddbmm", "mkldnn_rnn_layer"})
_LINEAR = ["relu", "relu6", "gelu", "silu", "hardswish", "hardtanh", "leaky_relu", "elu", "celu", "selu"]
_LINEAR += ["mish", "threshold", "softplus", "tanh", "logsigmoid", "prelu", "rrelu", "clamp", "clamp_min"]
_NORMS = ["batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"]


def _named(names: Iterable[str]) -> frozenset[Any]:
    """These functions of torch, also those that change their input in place."""
    places = (F, torch, torch.Tensor)
    both = [one for name in names for one in (name, f"{name}_")]
    return frozenset(getattr(place, name) for place in places for name in both if hasattr(place, name))


_STRAIGHT = _named((*_LINEAR, *_NORMS))


def by_sample(tensor: Tensor, batch: int) -> Tensor | None:
    """[samples, rest] of what a network computes for a batch, wherever it keeps the samples; None where it
    is not of samples. Batches have a prime number of samples, which few other axes are a multiple of."""
    if tensor.ndim > 1 and tensor.shape[0] != batch == tensor.shape[1]:
        tensor = tensor.transpose(0, 1)
    whole = tensor.ndim > 0 and tensor.shape[0] > 0 and tensor.shape[0] % batch == 0
    return tensor.reshape(batch, -1) if whole else None


class PassObserver(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What runs for a batch: `agreeing` counts for each pair of samples the units that are active, or
    inactive, for both; `log_weights` adds up the logarithms of the deviations of the weights that signals
    were multiplied with, which `deviations` has by a weight's place in memory."""

    def __init__(self, batch: int, deviations: Mapping[int, float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch, self.deviations, self.log_weights = batch, deviations, 0.0
        self.agreeing = torch.zeros(batch, batch, dtype=torch.float64)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Looks at units and products."""
        name = func._schema.name.removeprefix("aten::").rstrip("_")
        if name in UNITS and args and isinstance(args[0], Tensor):
            self._take_in(args[0])
        elif name in PRODUCTS:
            self._weigh(args)
        return func(*args, **(kwargs or {}))

    def _take_in(self, inputs: Tensor) -> None:
        samples = by_sample(inputs.detach(), self.batch)
        if samples is not None and samples.is_floating_point():
            signs = (samples > 0).float() * 2 - 1
            self.agreeing += ((signs @ signs.T + signs.shape[1]) / 2).double()

    def _weigh(self, args: Sequence[Any]) -> None:
        places = {one.untyped_storage().data_ptr() for one in args if isinstance(one, Tensor)}
        self.log_weights += sum(log(self.deviations[place]) for place in places & self.deviations.keys())


class OwnStatistics(TorchFunctionMode):
    """Norms over the batch take the batch's own statistics, whose spreads are counted in `log_spread`, and
    tokens are looked up through `looked_up`, which may change what was found."""

    def __init__(self, batch: int, looked_up: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.batch, self.looked_up, self.log_spread = batch, looked_up, 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Changes two kinds of calls."""
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return self._normed(*args, **kwargs)
        found = func(*args, **kwargs)
        if func in (F.embedding, F.embedding_bag) and by_sample(found, self.batch) is not None:
            return self.looked_up(found)
        return found

    def _normed(
        self,
        inputs: Tensor,
        mean: Tensor | None,
        variance: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if inputs.numel() < 2 * inputs.shape[1]:
            return F.batch_norm(inputs, mean, variance, weight, bias, training, momentum, eps)
        over = [axis for axis in range(inputs.ndim) if axis != 1]
        spread = inputs.detach().var(over, correction=0).mean() + eps
        self.log_spread += float(spread.log()) / 2
        return F.batch_norm(inputs, None, None, weight, bias, True, 0.0, eps)


class Straight(TorchFunctionMode):
    """Units and norms hand on their input: what is left is linear in it, but for products of signals. Gates
    (the sigmoid) stay what they are, else each product would square. Tensors that the code makes by itself
    are of the precision `dtype`."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Leaves out units and norms."""
        if func in _STRAIGHT and args and isinstance(args[0], Tensor):
            return args[0]
        found = func(*args, **(kwargs or {}))
        alien = isinstance(found, Tensor) and found.is_floating_point() and found.dtype != self.dtype
        return found.to(self.dtype) if alien else found


def floats(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Those of them that hold numbers with a fraction."""
    return [tensor for tensor in tensors if tensor.is_floating_point()]
