"""Fixed seeds, deterministic kernels and a fixed number of threads, for as long as a block runs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def reproducible(seed: int, threads: int | None = None) -> Iterator[None]:
    """Seed Python, numpy and torch; afterwards everything is as it was before.

    Equal seeds, threads, processor and torch give equal bits. `threads` is torch's number of threads.
    """
    states = random.getstate(), np.random.get_state()
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        with torch.random.fork_rng():
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            torch.set_num_threads(threads or before[0])
            torch.use_deterministic_algorithms(True, warn_only=True)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        random.setstate(states[0])
        np.random.set_state(states[1])


def state_digest(model: nn.Module) -> str:
    """SHA-256 of names, types, shapes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
