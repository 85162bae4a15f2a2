"""Four zero-cost proxies of a network's quality, each one number from one batch and no training.

- `synflow` (Tanaka et al. 2020; Abdelfattah et al. 2021): logarithm of what all weights carry, as absolute
  values, from an input of ones to the outputs. Units and norms are left out of the way.
- `jacov` (Mellor et al. 2021, first version): how differently the outputs depend on the input from sample to
  sample.
- `nwot` (Mellor et al. 2021): logarithm of the determinant of how many units agree between samples on being
  active. Units are all whose input has a sign that matters: ReLU, GELU, SiLU, Hardswish, tanh and the like.
- `zen` (Lin et al. 2021): logarithm of how far outputs move when the input does a little, had all weights the
  deviation 1, and with what the norms over the batch take away put back.

Of several outputs and of any shape, sums count. Tokens have no small changes: their embeddings stand for the
input. What is not defined for a network, or not finite, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite, log
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..network.plain import plain_weights
from ..network.predict import named_outputs
from .interception import OwnStatistics, PassObserver, Straight, by_sample, floats

BATCHES = (31, 23, 17, 13, 11, 7)
"""Numbers of samples; see `by_sample`."""
_MOVED = 1e-2  # of the input's deviation, as Lin et al. have it
_RIDGE = 1e-5  # of Mellor et al.
_SHRUNK = (1.0, 2.0**-4, 2.0**-8, 2.0**-16, 2.0**-32)


def proxies_of(model: nn.Module, inputs: Sequence[Tensor]) -> dict[str, float]:
    """The proxies of a network by name, whose weights are changed. `inputs` hold one of `BATCHES` samples.

    Torch is to be seeded. Raises whatever the network's code does.
    """
    plain_weights(model).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with _as_written(model):
        found = {**_of_the_batch(model, inputs), "synflow": _synflow(model, inputs)}
    return {name: value for name, value in sorted(found.items()) if value is not None and isfinite(value)}


@contextmanager
def _as_written(model: nn.Module) -> Iterator[None]:
    """Recurrent layers run as separate operations, so that their units are seen."""
    fused: Any = torch.backends.mkldnn
    before = fused.enabled
    try:
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            fused.set_flags(False)
        yield
    finally:
        fused.set_flags(before)


def _outputs(model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """For copies: forward may change its inputs in place."""
    return floats(list(named_outputs(model(*(tensor.clone() for tensor in inputs))).values()))


def _of_the_batch(model: nn.Module, inputs: Sequence[Tensor]) -> dict[str, float | None]:
    batch = len(inputs[0])
    leaves: list[Tensor] = []

    def leaf(found: Tensor) -> Tensor:
        leaves.append(found.detach().requires_grad_(True))
        return leaves[-1]

    def moved(found: Tensor) -> Tensor:
        return found + _MOVED * found.std(correction=0) * torch.randn_like(found)

    deviations = _deviations(model)
    given = [leaf(one) if one.is_floating_point() else one for one in inputs]
    with torch.enable_grad(), PassObserver(batch, deviations) as seen, OwnStatistics(batch, leaf) as plain:
        outputs = _outputs(model, given)
    jacov = _jacov(outputs, leaves, batch)
    pushed = [moved(one) if one.is_floating_point() else one for one in inputs]
    with torch.no_grad(), OwnStatistics(batch, moved):
        others = _outputs(model, pushed)
    taken = plain.log_spread - seen.log_weights
    return {"jacov": jacov, "nwot": _nwot(seen.agreeing), "zen": _zen(outputs, others, taken)}


def _deviations(model: nn.Module) -> dict[int, float]:
    """Deviation of each weight that may be multiplied with signals, by its place in memory."""
    weights = [one.detach() for one in floats(list(model.parameters())) if one.ndim > 1]
    spreads = {one.untyped_storage().data_ptr(): float(one.std(correction=0)) for one in weights}
    return {place: spread for place, spread in spreads.items() if spread > 0}


def _jacov(outputs: Sequence[Tensor], leaves: Sequence[Tensor], batch: int) -> float | None:
    told = [output.sum() for output in outputs if output.requires_grad]
    if not told or not leaves:  # whole numbers that are no tokens, say
        return None
    gradients = torch.autograd.grad(torch.stack(told).sum(), list(leaves), allow_unused=True)
    rows = [by_sample(one, batch) for one in gradients if one is not None]
    of_samples = [one for one in rows if one is not None]
    jacobian = torch.cat(of_samples, dim=1).double().numpy() if of_samples else np.full((batch, 1), np.nan)
    if not np.isfinite(jacobian).all():
        return None
    apart = jacobian - jacobian.mean(axis=1, keepdims=True)
    spread = np.linalg.norm(apart, axis=1, keepdims=True)
    if not spread.any():
        return None
    apart /= np.where(spread > 0, spread, 1.0)  # a sample that nothing depends on is like all others
    values = np.maximum(np.linalg.eigvalsh(apart @ apart.T), 0.0) + _RIDGE
    return -float(np.sum(np.log(values) + 1 / values))


def _nwot(agreeing: Tensor) -> float | None:
    """With one unit of its own for each sample, so that two that agree on all others leave a number."""
    if not agreeing.any():
        return None
    return float(torch.linalg.slogdet(agreeing + torch.eye(len(agreeing), dtype=torch.float64))[1])


def _zen(outputs: Sequence[Tensor], others: Sequence[Tensor], log_spread: float) -> float | None:
    moved = sum(
        float((one.detach() - two).abs().double().sum()) for one, two in zip(outputs, others, strict=True)
    )
    return log(moved / len(outputs[0])) + log_spread if moved else None


def _synflow(model: nn.Module, inputs: Sequence[Tensor]) -> float | None:
    """In double precision where the model's code allows that."""
    try:
        return _flow(model.double(), inputs, torch.float64)
    except RuntimeError:  # it has tensors of its own, of another type
        return _flow(model.float(), inputs, torch.float32)


def _flow(model: nn.Module, inputs: Sequence[Tensor], dtype: torch.dtype) -> float | None:
    first = [one[:1] for one in inputs]
    ones = [torch.ones_like(one, dtype=dtype) if one.is_floating_point() else one for one in first]
    numbers = floats(list(model.parameters()))
    for one in numbers:
        one.detach().abs_()
    weights = [one.requires_grad_(True) for one in numbers if one.ndim > 1]
    before = 1.0
    for factor in _SHRUNK:
        with torch.no_grad():
            for weight in weights:
                weight.mul_(factor / before)
        before = factor
        with torch.enable_grad(), Straight(dtype):
            told = [output.sum() for output in _outputs(model, ones) if output.requires_grad]
        if not told or not weights:
            return None
        flow = torch.stack(told).sum()
        gradients = torch.autograd.grad(flow, weights, allow_unused=True)
        pairs = zip(weights, gradients, strict=True)
        carried = float(sum((one.detach() * two).abs().sum() for one, two in pairs if two is not None))
        reached = float(flow.detach())
        if isfinite(carried) and isfinite(reached):
            break
    if not (isfinite(carried) and carried > 0):
        return None
    # Shrunk weights carry less by one factor for each layer on the way, of which there are carried / reached.
    return log(carried) - log(factor) * carried / reached if factor < 1 else log(carried)
