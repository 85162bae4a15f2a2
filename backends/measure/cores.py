"""On which cores a session is held while it is measured: the same for everyone on a device."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

SYSTEM = Path("/sys/devices/system/cpu")
ALIKE = 0.05
"""Cores whose measured speeds differ by less are alike: on a shared machine 2 % were seen to be noise."""


def hold_on(threads: int, allowed: Collection[int], wanted: Collection[int] = ()) -> tuple[int, ...]:
    """Hold this process, and the threads that it starts from now on, on as many of the allowed cores as it
    has threads; returns them, or nothing where the system does not let it choose.

    The `wanted` ones, where they are that many and can be had, so that all processes are on the same.
    """
    if not hasattr(os, "sched_setaffinity"):
        return ()
    fits = set(wanted) <= set(allowed) and len(wanted) == min(threads, len(allowed))
    chosen = tuple(sorted(wanted)) if fits else chosen_cores(threads, allowed)
    try:
        os.sched_setaffinity(0, chosen)
    except OSError:  # a core that was switched off, or a system that forbids it
        return hold_on(threads, set(allowed) - set(wanted)) if fits else ()
    return chosen


def chosen_cores(
    threads: int,
    allowed: Iterable[int],
    system: Path = SYSTEM,
    speeds: Mapping[int, float] | None = None,
) -> tuple[int, ...]:
    """The fastest cores, by their measured `speeds` where these are known, else by what the kernel says; the
    last of them where several are alike: the system's own work prefers the first.

    Cores of one device may differ by factors (big and little), and alike ones by a quarter where somebody
    else uses the machine: two artifacts on different ones cannot be compared. Threads that share a core get
    in each other's way, so that each has its own as long as there are enough.
    """
    steps = _steps(speeds or {})
    ranked = sorted(
        allowed, key=lambda core: (steps.get(core, -1), told_speed(core, system), core), reverse=True
    )
    taken = set[str]()
    first, others = list[int](), list[int]()
    for core in ranked:
        whole = _whole_core(core, system)
        (others if whole in taken else first).append(core)
        taken.add(whole)
    return tuple(sorted([*first, *others][:threads]))


def _steps(speeds: Mapping[int, float]) -> dict[int, float]:
    """Measured speeds, with alike ones made the same."""
    found, top = dict[int, float](), 0.0
    for core, speed in sorted(speeds.items(), key=lambda item: item[1], reverse=True):
        top = speed if speed < top * (1 - ALIKE) or not found else top
        found[core] = top
    return found


def told_speed(core: int, system: Path) -> tuple[int, int]:
    """What the kernel takes for the core's capacity, then its highest clock; 0 where it does not say."""
    folder = system / f"cpu{core}"
    return _number(folder / "cpu_capacity"), _number(folder / "cpufreq" / "cpuinfo_max_freq")


def _whole_core(core: int, system: Path) -> str:
    """Names the hardware threads of one core alike."""
    try:
        return (system / f"cpu{core}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(core)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
