"""What a profile file may say: a device's processor, accelerator, figures with their sources, and how to
reach it.

A device is a CPU, a GPU, or both: a Raspberry Pi has `cpu`, a bare accelerator card `gpu`, a Jetson or a
server with a card both. Each section is complete in itself (its own memory, bandwidth and peaks), so that
an estimate reads one section only.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..precision import Precision
from ..text.figures import ByteFigure as ByteFigure  # a word of profiles too, as those below are
from ..text.figures import Count, Strict, Text, Version, bytes_of
from ..text.figures import Figure as Figure
from ..text.figures import Sm as Sm
from ..text.figures import sm_version as sm_version
from ..text.named import DeviceName
from .instructions import KNOWN, int8_saturates
from .metering import MeterSection, check_prices, hourly
from .reach import LocalReach as LocalReach
from .reach import NoReach as NoReach
from .reach import Pool, check_pool, reach_of
from .reach import Reach as Reach
from .reach import SshReach as SshReach

# 2:4 kernels came with NVIDIA's Ampere generation.
_FIRST_SM_WITH_2_4 = (8, 0)


class Caches(Strict):
    """Cache sizes as one core sees them: its L1 data cache, and the L2 and L3 that it can use."""

    l1_bytes: Count | None = None
    l2_bytes: Count | None = None
    l3_bytes: Count | None = None
    source: Text

    @field_validator("l1_bytes", "l2_bytes", "l3_bytes", mode="before")
    @classmethod
    def _with_unit(cls, value: Any) -> Any:
        return bytes_of(value)


Peaks = Mapping[Precision, Figure]


class Cpu(Strict):
    """The processor. `source` covers the plain facts (model, cores, threads, instruction sets).

    `peaks_gop_per_s` are giga operations per second, a multiply-add counted as TWO operations, of
    `peak_cores` cores together (all of them when left out).
    """

    model: Text
    architecture: Literal["x86-64", "aarch64"]
    cores: Count
    threads: Count
    instruction_sets: tuple[str, ...]
    source: Text
    memory_bytes: ByteFigure
    bandwidth_gb_per_s: Figure | None = None
    caches: Caches | None = None
    peak_cores: Count | None = None
    peaks_gop_per_s: Peaks = Field(default_factory=dict)

    @field_validator("instruction_sets")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in KNOWN:
                near = difflib.get_close_matches(name.lower(), KNOWN, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f"; accepted: {', '.join(KNOWN)}"
                raise ValueError(f"unknown instruction set {name!r}{hint}")
        return tuple(sorted(set(names), key=tuple(KNOWN).index))

    @model_validator(mode="after")
    def _consistent(self) -> Cpu:
        if self.threads < self.cores:
            raise ValueError(f"{self.threads} threads are fewer than {self.cores} cores")
        if self.peak_cores is not None and self.peak_cores > self.cores:
            raise ValueError(f"peak_cores is {self.peak_cores}, but there are {self.cores} cores")
        foreign = [name for name in self.instruction_sets if KNOWN[name] != self.architecture]
        if foreign:
            raise ValueError(f"instruction sets {', '.join(foreign)} do not exist on {self.architecture}")
        return self

    def has(self, *names: str) -> bool:
        """Whether at least one of the instruction sets is there."""
        return not set(names).isdisjoint(self.instruction_sets)


class TensorRTVersions(Strict):
    """The TensorRT versions that exist for a GPU; None where there is no known bound."""

    minimum: Version | None = None
    maximum: Version | None = None
    source: Text


class Gpu(Strict):
    """An NVIDIA GPU. `sm` is its compute capability ("8.6"); peaks as in `Cpu`, dense (no sparsity).

    `memory_bytes` is None where it is not known; on boards whose GPU shares the CPU's memory both
    sections state the same figure.
    """

    model: Text
    sm: Sm
    source: Text
    memory_bytes: ByteFigure | None = None
    bandwidth_gb_per_s: Figure | None = None
    peaks_gop_per_s: Peaks = Field(default_factory=dict)
    tensorrt: TensorRTVersions | None = None

    @property
    def sm_version(self) -> tuple[int, int]:
        """Compute capability for comparing: "8.6" is (8, 6)."""
        return sm_version(self.sm)

    @property
    def sm_name(self) -> str:
        """As NVIDIA's tools write it: "8.6" is sm_86."""
        return "sm_" + self.sm.replace(".", "")

    @property
    def nm_sparsity(self) -> bool:
        """Whether the hardware computes 2:4 sparse weights at double rate (NVIDIA Ampere and later)."""
        return self.sm_version >= _FIRST_SM_WITH_2_4


class Profile(Strict):
    """A device. At least one of `cpu` and `gpu` is there.

    `power_w` is what the device may draw (source and note say which figure that is), `price_usd` what it
    costs and `lifetime_h` the hours in which it is used, `price_usd_per_hour` what renting it does. `meter`
    is the one that tells energy. `devices` are those that may be measured on, where there are several of the
    kind. `notes` are sentences for the reader.
    """

    name: DeviceName
    title: Text
    cpu: Cpu | None = None
    gpu: Gpu | None = None
    power_w: Figure | None = None
    price_usd: Figure | None = None
    price_usd_per_hour: Figure | None = None
    lifetime_h: Figure | None = None
    meter: MeterSection | None = None
    devices: Pool | None = None
    reach: Annotated[Reach, Field(discriminator="kind")] = NoReach()
    notes: tuple[str, ...] = ()

    @field_validator("reach")
    @classmethod
    def _somewhere(cls, reach: Reach, info: ValidationInfo) -> Reach:
        if isinstance(reach, SshReach) and not reach.host and info.data.get("devices", ()) is None:
            raise ValueError("missing key 'host'")
        return reach

    @model_validator(mode="after")
    def _something(self) -> Profile:
        if self.cpu is None and self.gpu is None:
            raise ValueError("a profile needs a `cpu` section, a `gpu` section, or both")
        check_prices(self.price_usd, self.price_usd_per_hour, self.lifetime_h)
        if self.devices is not None:
            check_pool(self.devices, self.reach)
        return self

    @property
    def pool(self) -> tuple[str, ...]:
        """Names of the devices, where there are several of the kind; nothing where `reach` names the one."""
        return tuple(one.name for one in self.devices or ())

    def of_device(self, name: str) -> Profile:
        """The profile with the reach of one device of the pool ("": there is none). It serves to reach it:
        what is measured there belongs to the kind, so to this profile (see `device_identity`).

        Raises:
            UserError: the pool has no device of that name.
        """
        return self.model_copy(
            update={"reach": reach_of(name, self.devices or (), self.reach), "devices": None}
        )

    @property
    def usd_per_hour(self) -> tuple[float, str] | None:
        """What an hour of the device costs, and how that follows; None where the profile does not say."""
        return hourly(self.price_usd, self.price_usd_per_hour, self.lifetime_h)

    @property
    def kind(self) -> Literal["cpu", "gpu"]:
        """ "gpu" where the device has one, else "cpu"."""
        return "gpu" if self.gpu else "cpu"

    @property
    def architecture(self) -> str:
        """The processor's architecture; "cuda" for a card that is described without its host."""
        return self.cpu.architecture if self.cpu else "cuda"

    @property
    def cores(self) -> int:
        """Physical cores of the processor; 0 where none is described."""
        return self.cpu.cores if self.cpu else 0

    @property
    def threads(self) -> int:
        """Hardware threads of the processor; 0 where none is described."""
        return self.cpu.threads if self.cpu else 0

    @property
    def instruction_sets(self) -> tuple[str, ...]:
        """The processor's numeric instruction sets, in the canonical order."""
        return self.cpu.instruction_sets if self.cpu else ()

    @property
    def sm(self) -> str | None:
        """Compute capability of the GPU ("8.6"), or None."""
        return self.gpu.sm if self.gpu else None

    @property
    def memory_bytes(self) -> int:
        """Memory for models: the GPU's where the device has one, else the processor's; 0: unknown."""
        section = self.gpu if self.gpu and self.gpu.memory_bytes else self.cpu
        figure = section.memory_bytes if section else None
        return round(figure.value) if figure else 0

    @property
    def int8_saturates(self) -> bool:
        """Whether int8 kernels add pairs of products in 16 bits: x86-64 without a dot-product instruction.

        There, accuracy of an int8 model is lower than elsewhere unless its weights use 7 bits.
        """
        return bool(self.cpu) and int8_saturates(self.architecture, self.instruction_sets)

    @property
    def instruction_digest(self) -> str:
        """12 hex digits over all that decides what numbers the kernels compute: architecture, numeric
        instruction sets, compute capability. A score is valid only for the digest it was taken under.
        """
        return self.digest_with(self.instruction_sets)

    def digest_with(self, instruction_sets: Iterable[str]) -> str:
        """`instruction_digest` where the processor has these instruction sets."""
        facts = [self.architecture, *sorted(instruction_sets), f"sm={self.sm or ''}"]
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
