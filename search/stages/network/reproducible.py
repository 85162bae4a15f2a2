"""Fixed seeds, deterministic kernels and a fixed number of threads, for as long as a block runs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn


@contextmanager
def reproducible(seed: int, threads: int | None = None) -> Iterator[None]:
    """Seed Python, numpy and torch; afterwards everything is as it was before.

    Equal seeds, threads, processor and torch give equal bits. `threads` is torch's number of threads.
    """
    states = random.getstate(), np.random.get_state()
    threads_before = torch.get_num_threads()
    # `use_deterministic_algorithms` sets the same, and loads torch's compiler besides: a second.
    strictness = torch.get_deterministic_debug_mode()
    try:
        with torch.random.fork_rng():
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            torch.set_num_threads(threads or threads_before)
            torch.set_deterministic_debug_mode("warn")
            yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_deterministic_debug_mode(strictness)  # blocks may be nested
        random.setstate(states[0])
        np.random.set_state(states[1])


def random_state() -> dict[str, Any]:
    """State of the generators of Python, numpy and torch, of types that `torch.load` reads as plain data."""
    numpy = np.random.get_state(legacy=False)
    words = torch.from_numpy(numpy["state"]["key"].astype(np.int64))
    return {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": {**numpy, "state": {**numpy["state"], "key": words}},
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    numpy = state["numpy"]
    words = numpy["state"]["key"].numpy().astype(np.uint32)
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": words}})


def state_digest(model: nn.Module) -> str:
    """SHA-256 of names, types, shapes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@torch.no_grad()
def make_unequal(model: nn.Module) -> None:
    """Move every weight a little, at random. Initial weights may be equal between layers, or all zero (copied
    layers, the last norm of a residual branch), and exporters and runtimes store equal tensors once."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            spread = float(parameter.float().std(correction=0)) or 1.0
            parameter.add_(torch.randn_like(parameter), alpha=0.1 * spread)
