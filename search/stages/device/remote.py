"""A device that is not this machine: what it tells of itself, and what is computed on both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...workload.outputs import OutputChoice
from ...workload.workload import Array


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is computed on both sides: calibration samples with the digest of all of them, and which of the
    model's outputs count."""

    data: Mapping[str, Array]
    digest: str
    outputs: OutputChoice


@dataclass(frozen=True, kw_only=True)
class RemoteDevice:
    """A device that is not this machine: the `environment` that it tells, whether it saturates sums of 8-bit
    products where this machine does not, or the other way round, and what is `asked` of both."""

    environment: Mapping[str, Any]
    asked: Callable[[], Asked]
    saturates_otherwise: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """What a comparison holds for, beside the profile's device."""
        told = self.environment.get
        return (str(told("machine")), str(told("processor")), str(told("instructions")), str(told("kernel")))

    def versions(self, packages: tuple[str, ...]) -> dict[str, str]:
        """Versions there of those packages that are installed."""
        there = self.environment.get("packages") or {}
        return {name: str(there[name]) for name in packages if name in there}
