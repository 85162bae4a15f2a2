"""PyTorch to TFLite by litert_torch. Needs PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import UserError
from ..contract.backend import Feed
from ..contract.torch_module import tensors_of

_MOST_OPERATORS = 2000  # that are kept as written, a kilobyte or two each


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
    converter = _converter()
    _operators_written_once()
    converted = converter.convert(module, sample_kwargs=tensors_of(feed), enable_x64=wide or is_wide(feed))
    content: bytes = converted.model_content()
    return content


def is_wide(feed: Feed) -> bool:
    """Whether it has 64-bit integers, which the model then takes as they are."""
    return any(array.dtype == np.int64 for array in feed.values())


def _converter() -> Any:
    try:
        return import_module("litert_torch")
    except ImportError as error:
        raise UserError(
            "cannot export to TFLite: litert_torch is missing",
            found=str(error),
            remedy="pip install 'paretune[tflite]'",
        ) from error


@cache
def _operators_written_once() -> None:
    """litert_torch has each operator written as text by jax, and the text turned into what its own reader
    takes: a quarter of a small model's export. Here that is done once in a process for each operator with the
    same shapes, types and numbers.

    Where a later version has no such functions, nothing is changed.
    """
    with suppress(ImportError, AttributeError):
        bridge: Any = import_module("litert_torch.backend.jax_bridge._wrap")
        write, told = bridge._lower_to_ir_text, bridge.get_cache_fingerprint
        texts: dict[Any, str] = {}

        @wraps(write)
        def written(*asked: Any, **named: Any) -> tuple[Callable[[], str], Any]:
            made: tuple[Callable[[], str], Any] = write(*asked, **named)
            text, inputs = made
            key = _exact(told(*asked, **named))

            def once() -> str:
                if key is None:
                    return text()
                if key not in texts and len(texts) >= _MOST_OPERATORS:
                    texts.clear()
                return texts[key] if key in texts else texts.setdefault(key, text())

            return once, inputs

        bridge._stablehlo_to_vhlo = lru_cache(_MOST_OPERATORS)(bridge._stablehlo_to_vhlo)
        bridge._lower_to_ir_text = written


def _exact(told: Any) -> Any:
    """With the types of all numbers: 1, 1.0 and True are equal, and written otherwise."""
    if isinstance(told, tuple):
        return tuple(map(_exact, told))
    return None if told is None else (type(told), repr(told) if isinstance(told, float) else told)
