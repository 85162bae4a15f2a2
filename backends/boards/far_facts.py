"""What a board is, told by its own Python: sent there as text, and run by any Python from 3.8 on.

It reads one line of JSON on standard input, prints one behind the word that it was given, and leaves nothing
behind.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
import sys
import sysconfig
import tempfile
import time
from typing import Any

# What these files mean is found where the answer is wanted.
_FILES = ("proc/cpuinfo", "proc/meminfo", "proc/device-tree/model", "proc/self/cgroup")
_DEVICE_TREE = "sys/firmware/devicetree/base/model"  # where the link in /proc leads to
_GROUP = ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.max", "memory.limit_in_bytes")
_TOPOLOGY = ("physical_package_id", "core_id")
_CACHE = ("size", "type", "level")
_MOST = 2**18


def text_of(path: str) -> str | None:
    """The beginning of a file, None where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(_MOST).decode(errors="replace")
    except OSError:
        return None


def system_files(cpus: list[int]) -> dict[str, str]:
    """Files of the kernel that tell of processor, memory and limits, by their paths without the first "/"."""
    paths = list(_FILES)
    for line in (text_of("/proc/self/cgroup") or "").splitlines():
        group = [part for part in line.split(":", 2)[-1].split("/") if part]
        for depth in range(len(group) + 1):
            for controller in ("", "cpu/", "memory/"):
                folder = "/".join(["sys/fs/cgroup/" + controller.rstrip("/"), *group[:depth]])
                paths += [folder.rstrip("/") + "/" + name for name in _GROUP]
    for cpu in cpus:
        paths += [f"sys/devices/system/cpu/cpu{cpu}/topology/{name}" for name in _TOPOLOGY]
    for level in range(8):
        paths += [f"sys/devices/system/cpu/cpu{cpus[0]}/cache/index{level}/{name}" for name in _CACHE]
    found = {path: text_of("/" + path) for path in dict.fromkeys(paths)}
    found[_FILES[2]] = found[_FILES[2]] or text_of("/" + _DEVICE_TREE)
    return {path: text for path, text in found.items() if text is not None}


def python() -> dict[str, Any]:
    """The interpreter and the C library below it."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        libc = ""
    return {
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "tag": sys.implementation.cache_tag or "",
        "soabi": sysconfig.get_config_var("SOABI") or "",
        "bits": 8 * struct.calcsize("P"),
        "executable": sys.executable or "",
        "libc": libc,
    }


def folder(path: str) -> dict[str, Any]:
    """A folder as it is, or as the nearest one above it that is there."""
    there = path
    while not os.path.lexists(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    found = os.statvfs(there)
    return {
        "path": path,
        "nearest": there,
        "is_folder": os.path.isdir(there),
        "writable": os.access(there, os.W_OK | os.X_OK),
        "read_only": bool(found.f_flag & os.ST_RDONLY),
        "executable": not found.f_flag & getattr(os, "ST_NOEXEC", 0),
        "free_bytes": shutil.disk_usage(there).free,
    }


def packages(names: list[str]) -> dict[str, str]:
    """Versions of those distributions that this interpreter has."""
    from importlib import metadata

    found = {}
    for name in names:
        try:
            found[name] = str(metadata.version(name))
        except Exception:  # noqa: S112 - whatever a damaged one raises: it is none that can be used
            continue
    return found


def printed(command: list[str]) -> str:
    """What a program prints, "" where it is not there or fails."""
    if not shutil.which(command[0]):
        return ""
    import subprocess

    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if done.returncode else done.stdout[:_MOST].decode(errors="replace")


def prepared(place: str) -> str | None:
    """What the set is made of from which runners start there, as the last setup wrote it."""
    current = text_of(os.path.join(place, "current"))
    return text_of(os.path.join(place, "sets", current.strip() + ".json")) if current else None


def facts(asked: dict[str, Any]) -> dict[str, Any]:
    """All that is told."""
    known = hasattr(os, "sched_getaffinity")
    cpus = sorted(os.sched_getaffinity(0)) if known else list(range(os.cpu_count() or 1))
    workdir = os.path.abspath(asked["workdir"])
    return {
        "python": python(),
        "system": platform.system(),
        "machine": platform.machine(),
        "host": platform.node(),
        "cpus": cpus,
        "files": system_files(cpus),
        "packages": packages(asked["packages"]),
        "gpus": printed(asked["gpus"]),
        "home": os.path.expanduser("~"),
        "workdir": folder(workdir),
        "temporary": folder(tempfile.gettempdir()),
        "prepared": prepared(os.path.join(workdir, "prepared")),
        "clock": time.time(),
    }


def main() -> None:
    """Answer one request."""
    asked = json.loads(sys.stdin.buffer.readline())
    # What the login shell and this interpreter have printed ends in a line of its own.
    sys.stdout.buffer.write(("\n" + asked["word"] + json.dumps(facts(asked)) + "\n").encode())
    sys.stdout.flush()


if __name__ == "__main__":
    main()
