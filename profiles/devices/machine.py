"""Facts of the machine at hand, read from the operating system: processor, usable cores, memory, caches.

Everything takes the file system's root as an argument, so that recorded trees of other machines can be read.
Limits of the process count: its CPU affinity and its control group (v1 and v2), as in a container.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .instructions import architecture_of, canonical

# Linux' names of Arm cores, from the MIDR part number (Arm Ltd, implementer 0x41), for boards without a name.
_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was found. `cores` and `threads` are those that this process may use; `origin` says from where."""

    model: str
    architecture: str
    cores: int
    threads: int
    instruction_sets: tuple[str, ...]
    memory_bytes: int
    memory_source: str
    cache_bytes: dict[int, int] = field(default_factory=dict)  # level -> bytes, as one core sees it
    origin: str = ""


def read_machine(
    root: Path = Path("/"), machine: str | None = None, affinity: frozenset[int] | None = None
) -> Machine:
    """The machine at hand, or the one whose /proc and /sys lie under `root`.

    `machine` is the name of the architecture as `uname -m` gives it, `affinity` the numbers of the CPUs that
    may be used (this process's own when left out). An architecture that is neither x86-64 nor 64-bit Arm is
    reported under the system's own name.
    """
    name = (machine or platform.machine()).lower()
    architecture = architecture_of(name)
    if not (root / "proc/cpuinfo").is_file():
        return _without_proc(architecture)
    cpuinfo = (root / "proc/cpuinfo").read_text(errors="replace")
    usable = affinity if affinity is not None else _affinity()
    threads = min(len(usable), _cpu_quota(root) or len(usable))
    memory, memory_source = _memory(root)
    return Machine(
        model=_model(cpuinfo, root) or name,
        architecture=architecture,
        cores=max(1, min(_physical_cores(root, usable), threads)),
        threads=max(1, threads),
        instruction_sets=canonical(_field(cpuinfo, "flags", "Features").split()),
        memory_bytes=memory,
        memory_source=memory_source,
        cache_bytes=_caches(root, min(usable)),
        origin="read from /proc/cpuinfo and /sys, limited to the CPUs this process may use",
    )


def _field(cpuinfo: str, *names: str) -> str:
    for name in names:
        match = re.search(rf"^{name}\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
        if match:
            return match[1].strip()
    return ""


def _model(cpuinfo: str, root: Path) -> str:
    """ "AMD EPYC 7543", or for Arm the board and its cores ("Raspberry Pi 5 Model B, Cortex-A76")."""
    board = root / "proc/device-tree/model"
    names = [
        _field(cpuinfo, "model name"),
        board.read_text(errors="replace").strip("\0 \n") if board.is_file() else "",
        ", ".join(dict.fromkeys(_ARM_PARTS.get(p, "") for p in re.findall(r"CPU part\s*:\s*(\w+)", cpuinfo))),
    ]
    return ", ".join(name.strip(", ") for name in names if name.strip(", "))


def _affinity() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _physical_cores(root: Path, usable: Iterable[int]) -> int:
    """Distinct cores among the usable CPUs; each CPU counts as one where the topology is not told."""
    cores = set()
    for cpu in usable:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        place = [_line(topology / name) for name in ("physical_package_id", "core_id")]
        cores.add(tuple(place) if all(place) else cpu)
    return len(cores)


def _cpu_quota(root: Path) -> int | None:
    """Whole CPUs that the control group grants (at least one), or None where it sets no limit."""
    shares = []
    for folder in _groups(root, "cpu"):
        parts = _line(folder / "cpu.max").split()
        if not parts:
            parts = [_line(folder / "cpu.cfs_quota_us"), _line(folder / "cpu.cfs_period_us")]
        if len(parts) == 2 and all(part.isdigit() for part in parts) and int(parts[1]):
            shares.append(int(parts[0]) / int(parts[1]))
    return max(1, int(min(shares))) if shares else None


def _memory(root: Path) -> tuple[int, str]:
    """Bytes that this process may use: the machine's, or less where a control group limits it."""
    match = re.search(r"MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo"))
    total = int(match[1]) * 1024 if match else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [
        int(text)
        for folder in _groups(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := _line(folder / name)).isdigit()
    ]
    if limits and min(limits) < total:
        return min(limits), "limit of the control group of this process"
    return total, "MemTotal of /proc/meminfo"


def _groups(root: Path, controller: str) -> list[Path]:
    """Folders of the control groups that hold this process, innermost first, up to the top one."""
    folders = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        unified = controllers == ""
        if not unified and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("" if unified else controller)
        inner = top / path.lstrip("/")
        folders += [folder for folder in (inner, *inner.parents) if folder == top or top in folder.parents]
    return folders


def _caches(root: Path, cpu: int) -> dict[int, int]:
    sizes = {}
    for index in sorted((root / f"sys/devices/system/cpu/cpu{cpu}/cache").glob("index[0-9]*")):
        size = re.fullmatch(r"(\d+)([KM]?)", _line(index / "size"))
        if size and _line(index / "type") in ("Data", "Unified"):
            factor = {"": 1, "K": 1024, "M": 1024**2}[size[2]]
            sizes[int(_line(index / "level"))] = int(size[1]) * factor
    return sizes


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _line(path: Path) -> str:
    return _text(path).strip()


def _without_proc(architecture: str) -> Machine:
    """macOS by `sysctl`; other systems by what Python itself can tell."""
    facts = parse_sysctl(_sysctl())
    logical = int(facts.get("hw.logicalcpu", os.cpu_count() or 1))
    caches = {1: "hw.l1dcachesize", 2: "hw.l2cachesize", 3: "hw.l3cachesize"}
    return Machine(
        model=facts.get("machdep.cpu.brand_string") or platform.processor() or architecture,
        architecture=architecture,
        cores=int(facts.get("hw.physicalcpu", logical)),
        threads=logical,
        instruction_sets=sysctl_instruction_sets(facts),
        memory_bytes=int(facts.get("hw.memsize", 0)) or _total_memory(),
        memory_source="hw.memsize of sysctl" if "hw.memsize" in facts else "total memory by psutil",
        cache_bytes={level: int(facts[name]) for level, name in caches.items() if int(facts.get(name, 0))},
        origin="read from sysctl" if facts else "as Python's platform module tells it",
    )


def parse_sysctl(text: str) -> dict[str, str]:
    """The output of `sysctl -a` on macOS as a mapping."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def sysctl_instruction_sets(facts: dict[str, str]) -> tuple[str, ...]:
    """Instruction sets among the facts of `parse_sysctl`, on Intel and on Apple silicon."""
    flags = [name.rsplit(".", 1)[1] for name, value in facts.items() if ".optional." in name and value == "1"]
    for name in ("machdep.cpu.features", "machdep.cpu.leaf7_features"):
        flags += facts.get(name, "").split()
    return canonical(flags)


def _sysctl() -> str:
    if platform.system() != "Darwin":
        return ""
    try:
        done = subprocess.run(["sysctl", "-a"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _total_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().total)
