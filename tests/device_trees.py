"""Files as /sys and /proc of boards and containers have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write files under a root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def processor(
    clocks_khz: Mapping[int, int], *, most: int = 2_400_000, governor: str = "ondemand"
) -> dict[str, str]:
    """Cores that are switched on, with the clock that they run at now."""
    files = {"sys/devices/system/cpu/online": f"0-{max(clocks_khz)}\n"}
    for core, khz in clocks_khz.items():
        folder = f"sys/devices/system/cpu/cpu{core}/cpufreq"
        files[f"{folder}/scaling_cur_freq"] = f"{khz}\n"
        files[f"{folder}/cpuinfo_max_freq"] = f"{most}\n"
        files[f"{folder}/scaling_governor"] = f"{governor}\n"
    return files


def zones(**degrees: int) -> dict[str, str]:
    """Thermal zones by their type, in thousandths of a degree."""
    files = {}
    for number, (kind, value) in enumerate(degrees.items()):
        folder = f"sys/class/thermal/thermal_zone{number}"
        files |= {f"{folder}/type": kind.replace("_", "-") + "\n", f"{folder}/temp": f"{value}\n"}
    return files


GROUPS_2 = {
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "40 39 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n",
}
"""A container with a namespace of its own, version 2."""
