"""How much room a machine has: disk where files of ours go, and memory. numpy and stdlib only."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .environment import memory_bytes

_GROUP_V2, _GROUP_V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


def space(_: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Free bytes of the folder that this process works in, of the folder for temporary files, and of memory,
    as plain JSON values; null where the system does not say."""
    folders = {"workdir": Path.cwd(), "temporary": Path(tempfile.gettempdir())}
    disks = {name: {"path": str(path), "free_bytes": _free(path)} for name, path in folders.items()}
    return {"disks": disks, "memory": {"free_bytes": free_memory_bytes(), "all_bytes": memory_bytes()}}


def free_memory_bytes(root: Path = Path("/")) -> int | None:
    """Memory that a new process may take: what the system has left, or less where a container has a limit."""
    found = [_available(root / "proc/meminfo"), _left_in_group(root)]
    known = [number for number in found if number is not None]
    return min(known) if known else None


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _available(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="utf-8", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _left_in_group(root: Path) -> int | None:
    """What the control group of a container leaves; cached files count as free, as the kernel drops them."""
    v2, v1 = root / _GROUP_V2, root / _GROUP_V1
    for limit, used in (
        (v2 / "memory.max", v2 / "memory.current"),
        (v1 / "memory.limit_in_bytes", v1 / "memory.usage_in_bytes"),
    ):
        try:
            most, taken = int(limit.read_text()), int(used.read_text())
        except (OSError, ValueError):  # not in a group, or "max"
            continue
        return max(0, most - taken + _inactive_files(limit.parent / "memory.stat"))
    return None


def _inactive_files(stat: Path) -> int:
    try:
        lines = [line.split() for line in stat.read_text().splitlines()]
        found = {parts[0]: int(parts[1]) for parts in lines if len(parts) == 2}
    except (OSError, ValueError):
        return 0
    return found.get("total_inactive_file", found.get("inactive_file", 0))
