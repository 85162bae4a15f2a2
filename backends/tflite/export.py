"""PyTorch to TFLite by litert_torch. Needs PyTorch."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import UserError
from ..contract.backend import Feed


def write_tflite(module: Any, feed: Feed, path: Path, *, wide: bool = False) -> None:
    """Write a module for inputs of exactly the shapes of `feed`; see `Backend.export`.

    64-bit integer inputs stay 64-bit: the model casts them itself, so that a feed suits every backend. With
    `wide`, outputs of 64-bit integers do too.

    Raises:
        UserError: litert_torch is missing.
    """
    path.write_bytes(convert(module, feed, wide=wide))


def convert(module: Any, feed: Feed, *, wide: bool = False) -> bytes:
    """The content of that file; see `write_tflite`."""
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")  # it would print to stdout
    converted = _converter().convert(module, sample_kwargs=tensors_of(feed), enable_x64=wide or is_wide(feed))
    content: bytes = converted.model_content()
    return content


def is_wide(feed: Feed) -> bool:
    """Whether it has 64-bit integers, which the model then takes as they are."""
    return any(array.dtype == np.int64 for array in feed.values())


def tensors_of(feed: Feed) -> dict[str, Any]:
    """Copies of arrays, as PyTorch takes them."""
    torch = import_module("torch")
    return {name: torch.from_numpy(np.array(array)) for name, array in feed.items()}


def _converter() -> Any:
    try:
        return import_module("litert_torch")
    except ImportError as error:
        raise UserError(
            "cannot export to TFLite: litert_torch is missing",
            found=str(error),
            remedy="pip install 'paretune[tflite]'",
        ) from error
