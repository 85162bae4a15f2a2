"""What exporters take of a PyTorch module: its weights by name, and feeds as tensors. Needs PyTorch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from .session import Feed


def tensors_of(feed: Feed) -> dict[str, Any]:
    """Copies of arrays, as PyTorch takes them."""
    torch = import_module("torch")
    return {name: torch.from_numpy(np.array(array)) for name, array in feed.items()}


def weights_of(module: Any) -> dict[str, Any]:
    """All parameters and buffers by every name that they have."""
    found: dict[str, Any] = dict(module.named_parameters(remove_duplicate=False))
    found.update(module.named_buffers(remove_duplicate=False))
    return found
