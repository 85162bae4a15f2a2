"""What a device says of itself, held against its profile: before anything is trained or measured for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UserError
from ..words import joined
from .instructions import KNOWN, architecture_of, canonical
from .schema import Profile

LEAST_MEMORY = 0.85
"""Of what a profile says: firmware, kernel and a GPU keep some of it for themselves."""
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Reported:
    """What a device said: the architecture ("" where it does not), its numeric instruction sets (None: it
    does not say them, or names those of another architecture), `foreign` ones, threads and memory (0: not
    told), the bits of its Python and the processor's name."""

    architecture: str = ""
    instruction_sets: tuple[str, ...] | None = None
    foreign: tuple[str, ...] = ()
    threads: int = 0
    memory_bytes: int = 0
    bits: int = 64
    processor: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, Any]) -> Reported:
        """From the environment of a runner there."""
        told, architecture = environment.get, architecture_of(str(environment.get("machine") or ""))
        named = canonical(map(str, told("instructions") or ()))
        foreign = tuple(name for name in named if architecture and KNOWN[name] != architecture)
        cores, allowed = int(told("cores") or 0), len(told("affinity") or ())
        return cls(
            architecture=architecture,
            instruction_sets=named if named and not foreign else None,
            foreign=foreign,
            threads=min(cores, allowed) if allowed and cores else cores or allowed,
            memory_bytes=int(told("memory_bytes") or 0),
            bits=int(told("bits") or 64),
            processor=str(told("processor") or ""),
        )


def fit_of(profile: Profile, environment: Mapping[str, Any]) -> tuple[str, ...]:
    """Remarks on where the device is not quite what its profile says; `environment` is what a runner there
    says of it. Of a profile without a processor nothing can be said.

    Raises:
        UserError: it cannot be the profile's device: another architecture, or instruction sets are missing.
    """
    if profile.cpu is None:
        return ()
    found = Reported.of(environment)
    _check_architecture(profile, found)
    _check_instruction_sets(profile, found)
    return tuple(
        filter(None, (_instructions(profile, found), _threads(profile, found), _memory(found, profile)))
    )


def digest_of_device(profile: Profile, environment: Mapping[str, Any]) -> str:
    """`Profile.instruction_digest` of the device as it is: kernels are chosen by what it has, not by what its
    profile lists. The profile's own where it does not say."""
    told = Reported.of(environment).instruction_sets
    return profile.instruction_digest if told is None or profile.cpu is None else profile.digest_with(told)


def _check_architecture(profile: Profile, found: Reported) -> None:
    wanted = profile.architecture
    if found.architecture and found.architecture != wanted:
        raise _other(profile, f"the device is {found.architecture}", f"the profile says {wanted}", found)
    if found.bits != 64:
        raise _other(
            profile,
            f"Python there is a {found.bits}-bit program",
            f"the profile says {wanted}, 64 bits",
            found,
        )


def _check_instruction_sets(profile: Profile, found: Reported) -> None:
    if found.instruction_sets is None:
        return
    lacking = [name for name in profile.instruction_sets if name not in found.instruction_sets]
    if lacking:
        have = _named(found.instruction_sets)
        raise _other(
            profile, f"the device lacks {_named(lacking)} (it has {have})", "the profile lists them", found
        )


def _other(profile: Profile, is_so: str, wanted: str, found: Reported) -> UserError:
    named = f" ({found.processor})" if found.processor not in ("", found.architecture) else ""
    return UserError(
        f"the device is not what its profile {profile.name!r} says",
        place="profile",
        found=f"{is_so}{named}; {wanted}",
        accepted="a device of the profile's architecture that has every instruction set listed there",
        remedy="name the profile of this device, or correct `cpu` in its file; what is offered, compiled and "
        "remembered goes by it",
    )


def _instructions(profile: Profile, found: Reported) -> str:
    if found.foreign:
        return (
            f"the device is {found.architecture}, but its /proc/cpuinfo names instruction sets of another "
            f"architecture ({_named(found.foreign)}): an emulator passes its own machine's file through, "
            "so the profile's instruction sets are believed"
        )
    if found.instruction_sets is None:
        return "the device does not say its instruction sets: those of the profile are believed"
    more = [name for name in found.instruction_sets if name not in profile.instruction_sets]
    if not more:
        return ""
    return (
        f"the device has {_named(more)}, which its profile {profile.name!r} does not list: runtimes use them "
        "all the same, and what needs them is not offered"
    )


def _threads(profile: Profile, found: Reported) -> str:
    if not found.threads or found.threads >= profile.threads:
        return ""
    return (
        f"the device lets a process use {found.threads} hardware threads, its profile says {profile.threads}"
    )


def _memory(found: Reported, profile: Profile) -> str:
    figure = profile.cpu.memory_bytes if profile.cpu else None
    if figure is None or not found.memory_bytes or found.memory_bytes >= LEAST_MEMORY * figure.value:
        return ""
    has, says = found.memory_bytes / _GIB, figure.value / _GIB
    return f"the device has {has:.1f} GiB of memory, its profile says {says:.1f} GiB"


def _named(names: Iterable[str]) -> str:
    return joined(list(names)) or "none that is known"
