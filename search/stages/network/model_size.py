"""Parameters and multiply-adds of a model, counted on what runs rather than on the kinds of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ....profiles.guard.user_code import user_code
from .programs import Program


def _run(model: nn.Module, inputs: Sequence[Tensor]) -> Any:
    return model(*inputs)


def model_size(
    model: nn.Module, sample: list[Tensor], run: Callable[[nn.Module, Sequence[Tensor]], Any] = _run
) -> dict[str, int]:
    """`parameters`, and `macs` (multiply-adds for one sample) of a model, which `run` runs.

    Counted are the multiply-adds of convolutions and of all products of matrices, those inside attention and
    recurrent layers included; what works element by element (biases, norms, activations) is not. `sample`
    holds inputs, of which the first row is used; the count is for sequences of that length.
    """
    one = tuple(tensor[:1].clone() for tensor in sample)
    was_training = model.training
    model.eval()
    with (
        user_code("forward of the model for one sample", function=model),
        torch.no_grad(),
        plain_kernels(),
        FlopCounterMode(display=False) as counter,
    ):
        run(model, one)
    model.train(was_training)
    frozen = model.frozen_weights if isinstance(model, Program) else 0
    return {
        "parameters": sum(p.numel() for p in model.parameters()) + frozen,
        "macs": int(counter.get_total_flops()) // 2,  # a multiply-add is two operations there
    }


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Attention and recurrent layers run as separate products of matrices, in place of one fused kernel."""
    fast, fused = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    torch.backends.mha.set_fastpath_enabled(False)
    torch.backends.mkldnn.set_flags(False)  # type: ignore[no-untyped-call]
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.backends.mkldnn.set_flags(fused)  # type: ignore[no-untyped-call]
