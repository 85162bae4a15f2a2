"""What a device has shown of its pace, remembered from session to session: one small file for each device.

It lies in the user's cache folder and steers expectations alone, so that a file that is damaged, is another
program's or cannot be written counts as none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from ..cache import cache_folder
from ..files import open_regular, write_whole
from .schema import Profile

DEVICE = ""
"""In the place of a workload's name: what does not depend on any."""
START, ROUND_TRIP, WORK = "start", "round trip", "work"
"""Seconds that a runner takes to start, an empty request takes, and a run of the fixed work."""
COMPILE, SCORE, MEASURE, TRAINING, FINALIST = "compile", "score", "measure", "training", "finalist"
"""Seconds of one of these, by workload."""
INFERENCE = "inference"
"""Seconds of one run of the uncompressed teacher, by workload."""
LATEST, MOST_WORKLOADS = 40, 16
"""So many values of a kind are kept, the latest ones, of so many workloads."""
_VERSION, _MOST_BYTES, _MOST_SECONDS = 1, 2**20, 1e7


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Seconds by workload and by what took them, the latest last."""

    seconds: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)

    def times(self, what: str, workload: str = DEVICE) -> tuple[float, ...]:
        """All that is remembered of it."""
        return self.seconds.get(workload, {}).get(what, ())

    def typical(self, what: str, workload: str = DEVICE) -> float | None:
        """The median; None where it was never seen."""
        found = self.times(what, workload)
        return median(found) if found else None

    def with_seen(self, seen: Mapping[str, Iterable[float]], workload: str = DEVICE) -> Shown:
        """What was known and what was seen now; `workload` becomes the one that was seen last."""
        before = self.seconds.get(workload, {})
        added = {what: (*before.get(what, ()), *filter(_is_time, taken)) for what, taken in seen.items()}
        merged = {**before, **added}
        kept = {what: taken[-LATEST:] for what, taken in merged.items() if taken}
        others = {name: of for name, of in self.seconds.items() if name != workload}
        latest = list({**others, workload: kept}.items())
        device = [one for one in latest if one[0] == DEVICE]
        return Shown(seconds=dict([*device, *[o for o in latest if o[0] != DEVICE][-MOST_WORKLOADS:]]))


def device_identity(profile: Profile) -> str:
    """What a latency belongs to: the kind of device, not one of a pool, so that devices may come and go.
    Measured figures of the probe are left out: they vary from day to day."""
    cpu, gpu = profile.cpu, profile.gpu
    plain = {
        "name": profile.name,
        "reach": profile.reach.model_dump(mode="json"),
        "cpu": [cpu.model, cpu.cores, sorted(cpu.instruction_sets)] if cpu else None,
        "gpu": [gpu.model, gpu.sm] if gpu else None,
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shown_by(profile: Profile) -> Shown:
    """What the profile's device has shown; nothing where there is no memory of it."""
    path = _file_of(profile)
    if path is None:
        return Shown()
    try:
        with open_regular(path) as file:
            return _read(json.loads(file.read(_MOST_BYTES)))
    except (OSError, ValueError, RecursionError):
        return Shown()


def remember(profile: Profile, seen: Mapping[str, Iterable[float]], workload: str = DEVICE) -> None:
    """Add what the device has shown now. Where that cannot be kept, it is done without."""
    path = _file_of(profile)
    if path is None:
        return
    known = shown_by(profile).with_seen({what: tuple(taken) for what, taken in seen.items()}, workload)
    text = json.dumps({"version": _VERSION, "device": profile.name, "seconds": known.seconds}, indent=1)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)


def _file_of(profile: Profile) -> Path | None:
    folder = cache_folder()
    return folder / f"device-{device_identity(profile)}.json" if folder else None


def _read(found: Any) -> Shown:
    """The value of a file; what means nothing in it is left out."""
    if not isinstance(found, dict) or found.get("version") != _VERSION:
        raise ValueError("another program's, or another version's")
    kept = Shown()
    for workload, of in _mapping(found.get("seconds")).items():
        kept = kept.with_seen(
            {what: taken if isinstance(taken, list) else () for what, taken in _mapping(of).items()}, workload
        )
    return kept


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_time(value: Any) -> bool:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    return right and 0 < value <= _MOST_SECONDS and isfinite(value)
