"""Where a model would run, and the speeds that the device's profile states for that."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ...profiles.devices.instructions import INT8_DOT_PRODUCT
from ...profiles.devices.schema import Cpu, Gpu, Profile
from ...profiles.errors import UserError
from ...profiles.precision import Precision

Arithmetic = Literal["float", "half", "int8"]
"""What a kernel multiplies with: weights in 8 or 4 bits alone are widened to floats first."""

_HALF = ("asimdhp", "avx512_fp16", "amx_fp16", "avx512_bf16", "amx_bf16")
# Multiply-adds of two lanes, by instruction set, in one cycle of one core: a guess where no peak is stated.
_LANES = {"avx512f": 32, "avx2": 16, "fma": 16, "avx": 8, "sve": 8, "neon": 4, "sse4_1": 4}
_GUESSED_CLOCK = 1.8e9
_GUESSED_BANDWIDTH = {"cpu": 10.0, "gpu": 200.0}
CACHE_GAIN = 4.0
"""Times: how much faster the last cache gives its bytes than memory does."""


def arithmetic(precision: Precision) -> Arithmetic:
    """What a kernel multiplies with at a precision."""
    if precision in (Precision.FP16, Precision.BF16, Precision.FP8):
        return "half"
    return "int8" if precision in (Precision.INT8, Precision.INT8_DYNAMIC) else "float"


@dataclass(frozen=True)
class Situation:
    """A device, a runtime by name, its threads, and the section of the profile that it computes on."""

    profile: Profile = field(repr=False, compare=False)
    runtime: str
    threads: int = 1
    on: Literal["cpu", "gpu", "any"] = "any"
    device: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", self.profile.name)

    @cached_property
    def speeds(self) -> Speeds:
        """What the profile says of the section, for so many threads."""
        section = {"cpu": self.profile.cpu, "gpu": self.profile.gpu}.get(self.on)
        if self.on == "any":
            section = self.profile.cpu or self.profile.gpu
        if section is None:
            raise UserError(
                f"nothing can be estimated on the {self.on}: the profile describes none",
                place=f"profile {self.device}",
                remedy=f"add a `{self.on}` section to the profile",
            )
        return _of_cpu(section, self.threads) if isinstance(section, Cpu) else _of_gpu(section, self.device)


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """Multiply-adds for each millisecond, by what is multiplied with; bytes for each; the last cache's size.

    So many cores compute `together`. `missing` are the profile's fields without which a guess stands in for a
    figure, so that what rests on it is less sure; `family` is what kernels are written for.
    """

    macs_per_ms: dict[Arithmetic, float]
    bytes_per_ms: float
    cache_bytes: float
    together: int
    family: str
    missing: tuple[str, ...]

    def bandwidth(self, working_set: float) -> float:
        """Bytes for each millisecond where a model needs so many bytes again and again."""
        held = min(1.0, self.cache_bytes / max(working_set, 1.0))
        return self.bytes_per_ms * (1 + (CACHE_GAIN - 1) * held)


def _of_cpu(cpu: Cpu, threads: int) -> Speeds:
    missing = []
    cores = min(threads, cpu.cores)
    peaks = {
        name: figure.value / (cpu.peak_cores or cpu.cores) for name, figure in cpu.peaks_gop_per_s.items()
    }
    if Precision.FP32 not in peaks:
        missing.append("cpu.peaks_gop_per_s.fp32")
        peaks[Precision.FP32] = _guessed_peak(cpu)
    if cpu.bandwidth_gb_per_s is None:
        missing.append("cpu.bandwidth_gb_per_s")
    if cpu.caches is None:
        missing.append("cpu.caches")
    return Speeds(
        macs_per_ms={name: 5e5 * cores * peak for name, peak in _by_arithmetic(peaks, cpu).items()},
        bytes_per_ms=1e6
        * (cpu.bandwidth_gb_per_s.value if cpu.bandwidth_gb_per_s else _GUESSED_BANDWIDTH["cpu"]),
        cache_bytes=_last_cache(cpu),
        together=cores,
        family=cpu.architecture,
        missing=tuple(missing),
    )


def _guessed_peak(cpu: Cpu) -> float:
    """Giga operations a second of one core, by the widest instruction set that it has."""
    lanes = next((lanes for name, lanes in _LANES.items() if cpu.has(name)), 2)
    return 2 * lanes * _GUESSED_CLOCK / 1e9


def _by_arithmetic(peaks: dict[Precision, float], cpu: Cpu) -> dict[Arithmetic, float]:
    plain = peaks[Precision.FP32]
    half = peaks.get(Precision.FP16) or peaks.get(Precision.BF16)
    wide = 4.0 if cpu.has(*INT8_DOT_PRODUCT) else 2.0 if cpu.has("avx2") else 1.0
    return {
        "float": plain,
        "half": half or plain * (2.0 if cpu.has(*_HALF) else 1.0),
        "int8": peaks.get(Precision.INT8) or plain * wide,
    }


def _last_cache(cpu: Cpu) -> float:
    caches = cpu.caches
    return float((caches.l3_bytes or caches.l2_bytes or caches.l1_bytes or 0) if caches else 0)


def _of_gpu(gpu: Gpu, device: str) -> Speeds:
    peaks = {name: figure.value for name, figure in gpu.peaks_gop_per_s.items()}
    known = [peaks[name] for name in (Precision.FP32, Precision.FP16, Precision.BF16) if name in peaks]
    if not known:
        raise UserError(
            "nothing can be estimated without a peak of the GPU",
            place=f"profile {device}",
            found="no gpu.peaks_gop_per_s.fp32 and no gpu.peaks_gop_per_s.fp16",
            remedy="state one of them in the profile, in giga operations a second, with its source",
        )
    plain = peaks.get(Precision.FP32, min(known))
    half = peaks.get(Precision.FP16) or peaks.get(Precision.BF16) or plain
    return Speeds(
        macs_per_ms={"float": 5e5 * plain, "half": 5e5 * half, "int8": 5e5 * peaks.get(Precision.INT8, half)},
        bytes_per_ms=1e6
        * (gpu.bandwidth_gb_per_s.value if gpu.bandwidth_gb_per_s else _GUESSED_BANDWIDTH["gpu"]),
        cache_bytes=0.0,
        together=1,
        family="cuda",
        missing=() if gpu.bandwidth_gb_per_s else ("gpu.bandwidth_gb_per_s",),
    )
