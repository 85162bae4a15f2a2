"""How a study runs its artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ....backends.energy.chosen import ChosenMeter
from ....backends.registry import get_backend
from ...record.setting import Setting
from .remote import RemoteDevice

DEVICE = "device"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How artifacts run: batch and threads, the device's identity, and what decides integer arithmetic.

    `device` names where latency was taken and enters only keys of measurements; `instructions` is the digest
    of the instruction set and enters keys of scores, since integer kernels differ by it. `targets` says what
    each backend compiles for, where that is not just any processor, `watched` whether the device tells how
    it is, and `meter` what tells energy there. `remote` is the device where it is not this machine, `one`
    what it is called in its pool (empty: it is the only one of its kind).
    """

    batch: int
    threads: int
    device: str
    instructions: str
    targets: Mapping[str, str] = field(default_factory=dict)
    watched: bool = True
    meter: ChosenMeter | None = None
    remote: RemoteDevice | None = None
    one: str = ""

    @property
    def usual(self) -> Setting:
        """How an artifact is run where nothing else is asked."""
        return Setting(threads=self.threads, batch=self.batch)

    @property
    def named(self) -> dict[str, str]:
        """Which device of a pool it is, in the `meta` of what is measured there."""
        return {DEVICE: self.one} if self.one else {}

    def computed_by(self, *backends: str) -> str:
        """What enters keys of what these runtimes do on the device: their versions there. Nothing on this
        machine, whose versions are in the keys of artifacts."""
        if self.remote is None:
            return ""
        found = {
            k: v for name in backends for k, v in self.remote.versions(get_backend(name).packages).items()
        }
        return "".join(f" {name} {version}" for name, version in sorted(found.items()))
