"""The profile of a board, drafted from what the board says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from ..text.strict_yaml import to_yaml
from .host import with_shared_memory
from .instructions import KNOWN
from .machine import Machine
from .schema import ByteFigure, Caches, Cpu, Gpu, Profile, SshReach

_HEAD = """\
# Drafted by `paretune devices setup` from what the board said of itself on {day}: correct and complete it.
# Peaks, power and price are left out, since the board does not tell them: docs/profiles.md explains each key.
"""
_UNITS = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10}


def drafted(
    name: str, title: str, machine: Machine, gpus: Sequence[Gpu], reach: SshReach, origin: str
) -> Profile:
    """The profile; `origin` says where its figures come from, and when."""
    sizes = machine.cache_bytes
    levels = {f"l{level}_bytes": size for level, size in sorted(sizes.items()) if level in (1, 2, 3)}
    cpu = Cpu(
        model=machine.model,
        architecture=cast("Literal['x86-64', 'aarch64']", machine.architecture),
        cores=machine.cores,
        threads=machine.threads,
        instruction_sets=tuple(n for n in machine.instruction_sets if KNOWN[n] == machine.architecture),
        source=origin,
        memory_bytes=ByteFigure(value=machine.memory_bytes, source=origin, note=machine.memory_source),
        caches=Caches(source=origin, **levels) if levels else None,
    )
    gpu = _sourced(with_shared_memory(gpus[0], machine), origin) if gpus else None
    return Profile(name=name, title=title, cpu=cpu, gpu=gpu, reach=reach)


def _sourced(gpu: Gpu, origin: str) -> Gpu:
    """With what told each fact as a note."""
    memory = gpu.memory_bytes
    figure = memory and memory.model_copy(update={"source": origin, "note": memory.source})
    return gpu.model_copy(update={"source": origin, "memory_bytes": figure})


def as_file(profile: Profile, day: str) -> str:
    """The text of a profile's file, in the order in which people read it."""
    told = _plain(profile.model_dump(mode="json", exclude_none=True))
    head = {name: told.pop(name) for name in ("name", "title")}
    blocks = [_HEAD.format(day=day) + to_yaml(head), *(to_yaml({name: told[name]}) for name in told)]
    return "\n".join(blocks)


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty, and bytes in the largest unit that is exact."""
    plain = {
        name: _plain(one) if isinstance(one, dict) else _with_unit(one) if _is_bytes(name) else one
        for name, one in told.items()
    }
    return {name: one for name, one in plain.items() if one not in ({}, [], "")}


def _is_bytes(name: str) -> bool:
    return name == "value" or name.endswith("_bytes")


def _with_unit(value: float) -> str:
    exact = [(unit, size) for unit, size in _UNITS.items() if not value % size]
    return f"{value / exact[0][1]:.0f} {exact[0][0]}" if exact else f"{value:.0f} B"


def name_of(stem: str) -> str:
    """A device's name by that of its file."""
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:80] or "board"
