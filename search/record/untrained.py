"""What a network tells before it is trained, beside what it costs on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .arrays import Floats, ranks

PROXIES = ("synflow", "jacov", "nwot", "zen")
"""Zero-cost proxies that are looked at here; of each, more promises more."""


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """One model's network, without its weights.

    `structure` holds features that need no data, by name (depth, width, shares of operations), `proxies` what
    one batch at initialization gives (`synflow`, `jacov`, `nwot`, `zen`); all are finite numbers. `function`
    is a digest: networks that have the same one compute the same function of their inputs and weights (empty:
    not known). `constant`: its outputs do not depend on any input.
    """

    structure: Mapping[str, float] = field(default_factory=dict)
    proxies: Mapping[str, float] = field(default_factory=dict)
    function: str = ""
    constant: bool = False

    def __bool__(self) -> bool:
        return bool(self.structure or self.proxies or self.function)


UNTOLD = Untrained()


def places(told: Sequence[Mapping[str, float]]) -> dict[str, Floats]:
    """By proxy: [networks] the rank that it gives each, by what they told. One that does not define a proxy
    of others comes last in it: signals die there."""
    names = sorted({name for one in told for name in one})
    return {name: ranks(np.array([one.get(name, -np.inf) for one in told])) for name in names}
