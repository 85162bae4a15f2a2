"""The processor time that control groups leave this process: versions 1 and 2, nested, in containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .files import fields, number, text
from .state import Quota


def quota(root: Path = Path("/")) -> Quota | None:
    """The tightest quota over this process; None where there is none, or none can be seen.

    Every group above that of the process may have one, and each of them may cut it short.
    """
    found = [one for folder in _folders(root) if (one := _quota_of(folder)) is not None]
    if not found:
        return None
    return Quota(
        cores=min(one.cores for one in found),
        periods=max(one.periods for one in found),
        throttled=sum(one.throttled for one in found),
        throttled_s=sum(one.throttled_s for one in found),
    )


def _folders(root: Path) -> Iterator[Path]:
    """The groups of this process that count processor time, from its own upwards."""
    own = dict(_own_groups(text(root / "proc/self/cgroup")))
    for line in text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        parts = before.split()
        counts_time = kind == "cgroup2" or (
            kind == "cgroup" and "cpu" in options.replace(" ", ",").split(",")
        )
        if len(parts) < 5 or not counts_time:
            continue
        path = own.get("" if kind == "cgroup2" else "cpu", "/")
        # In a container the path is another's view of it: then the mount itself is the group.
        above = parts[3].rstrip("/")
        below = path.removeprefix(above).strip("/") if path.startswith(above) else ""
        top = root / _unescaped(parts[4]).lstrip("/")
        folder = top / below if ".." not in below.split("/") else top
        while folder != top:
            yield folder
            folder = folder.parent
        yield top


def _own_groups(lines: str) -> Iterator[tuple[str, str]]:
    """Controller -> path; "" is version 2."""
    for line in lines.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(","):
                yield controller, parts[2].removesuffix(" (deleted)")


def _unescaped(path: str) -> str:
    return path.replace("\\040", " ")


def _quota_of(folder: Path) -> Quota | None:
    told = text(folder / "cpu.max").split()
    if told:
        limit, period = told[0], told[1] if len(told) > 1 else "100000"
    else:
        micros, every = number(folder / "cpu.cfs_quota_us"), number(folder / "cpu.cfs_period_us")
        limit, period = str(micros), str(every)
    if not (limit.isdecimal() and period.isdecimal() and int(limit) and int(period)):
        return None  # "max", "-1" or no such files
    stat = fields(folder / "cpu.stat")
    throttled_s = stat.get("throttled_usec", 0) / 1e6 + stat.get("throttled_time", 0) / 1e9
    return Quota(
        cores=int(limit) / int(period),
        periods=stat.get("nr_periods", 0),
        throttled=stat.get("nr_throttled", 0),
        throttled_s=throttled_s,
    )
