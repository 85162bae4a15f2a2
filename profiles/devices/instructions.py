"""Instruction sets that decide speed or results of numeric kernels, under one canonical name each.

Names are those of Linux' /proc/cpuinfo, except `neon` (there: asimd). A runner on a device imports this: the
standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

KNOWN: Mapping[str, str] = {
    "sse4_1": "x86-64",
    "avx": "x86-64",
    "f16c": "x86-64",
    "fma": "x86-64",
    "avx2": "x86-64",
    "avx_vnni": "x86-64",
    "avx_vnni_int8": "x86-64",
    "avx512f": "x86-64",
    "avx512bw": "x86-64",
    "avx512dq": "x86-64",
    "avx512vl": "x86-64",
    "avx512_vnni": "x86-64",
    "avx512_bf16": "x86-64",
    "avx512_fp16": "x86-64",
    "amx_tile": "x86-64",
    "amx_int8": "x86-64",
    "amx_bf16": "x86-64",
    "amx_fp16": "x86-64",
    "neon": "aarch64",
    "asimdhp": "aarch64",  # fp16 arithmetic
    "asimddp": "aarch64",  # int8 dot product
    "i8mm": "aarch64",
    "bf16": "aarch64",
    "sve": "aarch64",
    "sve2": "aarch64",
    "sme": "aarch64",
    "sme2": "aarch64",
}
"""Canonical name -> architecture, in the canonical order."""

INT8_DOT_PRODUCT = ("avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm")
"""Any of these multiplies 8-bit integers and adds in 32 bits without saturation."""

_ARCHITECTURES = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "aarch64", "arm64": "aarch64"}

_ALIASES = {
    "asimd": "neon",
    # macOS on x86 (sysctl machdep.cpu.features and leaf7_features)
    "sse4.1": "sse4_1",
    "avx1.0": "avx",
    "avx512vnni": "avx512_vnni",
    # macOS on Apple silicon (sysctl hw.optional.arm)
    "advsimd": "neon",
    "feat_fp16": "asimdhp",
    "feat_dotprod": "asimddp",
    "feat_i8mm": "i8mm",
    "feat_bf16": "bf16",
    "feat_sme": "sme",
    "feat_sme2": "sme2",
}


def canonical(flags: Iterable[str]) -> tuple[str, ...]:
    """The known instruction sets among raw flags of an operating system, in the canonical order."""
    found = {_ALIASES.get(flag.lower(), flag.lower()) for flag in flags}
    return tuple(name for name in KNOWN if name in found)


def architecture_of(machine: str) -> str:
    """The architecture by the name that `uname -m` gives it; another one keeps the system's own name."""
    return _ARCHITECTURES.get(machine.lower(), machine.lower())


def int8_saturates(architecture: str, instruction_sets: Iterable[str]) -> bool:
    """Whether int8 kernels add pairs of products in 16 bits there."""
    return architecture == "x86-64" and not set(instruction_sets) & set(INT8_DOT_PRODUCT)
