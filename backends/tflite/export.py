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
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")  # it would print to stdout
    converter = _converter()
    torch = import_module("torch")
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in feed.items()}
    wide = wide or any(array.dtype == np.int64 for array in feed.values())
    converted = converter.convert(module, sample_kwargs=tensors, enable_x64=wide)
    path.write_bytes(converted.model_content())


def _converter() -> Any:
    try:
        return import_module("litert_torch")
    except ImportError as error:
        raise UserError(
            "cannot export to TFLite: litert_torch is missing",
            found=str(error),
            remedy="pip install 'paretune[tflite]'",
        ) from error
