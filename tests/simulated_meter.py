"""A RAPL counter in a folder that moves as processes work: watts at rest, and joules for each second of
processor time that the descendants of a process take. What a study measures by it can be foretold.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from recorded_meters import rapl

_TICK = os.sysconf("SC_CLK_TCK")


class SimulatedMeter:
    """Runs from `with` to the end of its block, for descendants of this process or another."""

    def __init__(self, root: Path, pid: int | None = None, idle_w: float = 5.0, joules: float = 20.0) -> None:
        self.root, self._pid = rapl(root, uj=0), pid or os.getpid()
        self.idle_w, self.joules = idle_w, joules
        self._zone = root / "sys/class/powercap/intel-rapl:0/energy_uj"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> SimulatedMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        seen: dict[int, float] = {}
        began, looked, pids = time.monotonic(), 0.0, []
        aside = self._zone.with_name("aside")
        while not self._over.wait(0.01):
            now = time.monotonic()
            if now - looked > 0.2:
                pids, looked = descendants(self._pid), now
            for pid in pids:
                seen[pid] = max(seen.get(pid, 0.0), processor_seconds(pid))
            energy = self.idle_w * (now - began) + self.joules * sum(seen.values())
            aside.write_text(f"{energy * 1e6:.0f}\n")
            aside.replace(self._zone)


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    below: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            below.setdefault(int(fields[1]), []).append(int(folder.name))
    found = list(below.get(pid, []))
    for one in found:
        found += below.get(one, [])
    return found


def processor_seconds(pid: int) -> float:
    """What a process has taken so far."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


if __name__ == "__main__":
    with SimulatedMeter(Path(sys.argv[1]), int(sys.argv[2])):
        while Path(f"/proc/{sys.argv[2]}").exists():
            time.sleep(0.2)
