"""What exporters traced in this process: a network of the same form with other weights needs no trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ....backends.contract.backend import Array
from ....backends.contract.torch_module import weights_of
from ..network.form import form_of

MOST_BYTES = 400_000_000  # of weights that traces may hold, or belong to


class KeptTraces:
    """Traces by format, form of the network and shapes of its inputs; those used last stay."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: dict[tuple[Any, ...], tuple[Any, int]] = {}

    def key(
        self, source_format: str, network: nn.Module, feed: Mapping[str, Array], outputs: Any = ()
    ) -> tuple[Any, ...] | None:
        """What a network's trace is kept under; None where nothing tells that another one is like it."""
        form = form_of(network)
        shapes = tuple((name, array.dtype.str, array.shape) for name, array in feed.items())
        return None if form is None else (source_format, form, shapes, tuple(outputs))

    def get(self, key: tuple[Any, ...] | None) -> Any:
        """The trace, or None."""
        if key is None or key not in self._kept:
            return None
        self._kept[key] = self._kept.pop(key)
        return self._kept[key][0]

    def put(self, key: tuple[Any, ...] | None, trace: Any, network: nn.Module) -> None:
        """Keep a trace of the network, unless there is none."""
        if key is None or trace is None:
            return
        self._kept[key] = trace, sum(t.numel() * t.element_size() for t in weights_of(network).values())
        while sum(size for _, size in self._kept.values()) > self._most:
            del self._kept[next(iter(self._kept))]

    def drop(self, key: tuple[Any, ...] | None) -> None:
        """Forget a trace that did not serve."""
        self._kept.pop(key or (), None)
