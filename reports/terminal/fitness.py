"""Whether a device is fit to measure on, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...backends.boards.check import check
from ...backends.boards.conditions import Finding
from ...backends.boards.fitness import Fitness
from ...backends.registry import probes
from ...profiles.devices.loader import load_profile
from ...profiles.devices.schema import Profile
from ...profiles.errors import StageError, UserError
from ...profiles.words import duration, listed
from ...search.record.metrics import metric_info
from ..content.timing import percent
from .output import console
from .steps import ConsoleSteps

NOT_REACHED, NOT_FIT = 1, 2
"""Exit codes of a device that is not reached, and of one that answers and is not fit to measure on."""
_MARKS: Mapping[bool | None, tuple[str, str]] = {
    True: ("ok", "green"),
    None: ("note", "yellow"),
    False: ("no", "red"),
}


def checked(name: str) -> tuple[RenderableType, int]:
    """The check of a device, which the user calls so, and the exit code; of a pool all devices one after the
    other, and the code is that of the worst.

    Raises:
        UserError: no such profile, or the device cannot be reached; of a pool, none can.
    """
    profile = load_profile(name, probes=probes())
    with ConsoleSteps(console(stderr=True)) as steps:
        if not profile.pool:
            return _one(profile, name, steps)
        found, away = list[tuple[RenderableType, int]](), list[UserError]()
        for device in profile.pool:
            try:
                found.append(_one(profile, name, steps, device))
            except UserError as error:
                away.append(error)
                found.append((Text(str(error)), NOT_REACHED))
    if len(away) == len(found):
        raise away[0]
    shown = [
        part for device, (text, _) in zip(profile.pool, found, strict=True) for part in (Text(device), text)
    ]
    codes = {code for _, code in found}
    return Group(*shown), next(code for code in (NOT_REACHED, NOT_FIT, 0) if code in codes)


def _one(profile: Profile, name: str, steps: ConsoleSteps, device: str = "") -> tuple[RenderableType, int]:
    try:
        fitness = check(profile, name, steps.stage, device=device)
    except StageError as error:
        raise _broken(device or f"the device of {name}", name, error) from error
    return fitness_text(fitness), 0 if fitness.fit else NOT_FIT


def _broken(device: str, name: str, error: StageError) -> UserError:
    if error.outside:
        return UserError(
            f"{device} went away while it was checked",
            found=error.cause,
            remedy="see that it is switched on and in the network, and check it again",
        )
    return UserError(
        f"{device} does not answer as it should",
        found=error.cause,
        remedy=f"check it again; `paretune devices setup {name}` puts this paretune there",
    )


def fitness_text(fitness: Fitness) -> RenderableType:
    """All findings, and what follows from them."""
    table = Table(show_edge=False, pad_edge=False)
    for title in ("", "what", "found", "why, or what to do"):
        table.add_column(title, overflow="fold")
    for finding in fitness.findings:
        mark, style = _MARKS[finding.ok]
        remark = "; ".join(filter(None, (finding.why, finding.remedy)))
        table.add_row(Text(mark, style=style), _title(finding.name), Text(shown(finding)), Text(remark))
    return Group(table, Text(""), *map(Text, _verdict(fitness)))


def _verdict(fitness: Fitness) -> list[str]:
    if fitness.fit:
        return [f"FIT: {fitness.device} can be measured on"]
    lines = [f"NOT FIT: {fitness.device} answers, and numbers taken there now would mislead"]
    for finding in fitness.against:
        lines.append(f"  {_title(finding.name)}: {finding.why}")
        if finding.remedy:
            lines.append(f"    what to do: {finding.remedy}")
    return lines


def _title(name: str) -> str:
    return _SHOWN[name][0] if name in _SHOWN else name.replace("_", " ")


def shown(finding: Finding) -> str:
    """Its value with its unit; what is not known says so."""
    if finding.value is None:
        return "unknown" if finding.ok is None else "none"
    return _SHOWN[finding.name][1](finding.value) if finding.name in _SHOWN else str(finding.value)


def _versions(value: Any) -> str:
    here = value["here"]
    said = []
    for name, there in value["there"].items():
        own = here.get(name, "")
        said.append(f"{name} {there}" + (f" (here {own})" if own not in ("", there) else ""))
    return listed(said, 20)


def _cores(value: Any) -> str:
    held, speeds = value["held"], value["speeds"]
    named = "core " + ", ".join(map(str, held)) if held else "any core"
    said = ", ".join(f"{core}: {100 * speed:.0f} %" for core, speed in speeds.items())
    return f"{named} (speeds {said})" if said else named


def _bytes(value: Any) -> str:
    return metric_info("memory_bytes").format(value) + " free"


_SHOWN: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "round_trip_s": ("round trip", lambda seconds: f"{1e3 * seconds:.2g} ms"),
    "start_s": ("a runner starts in", duration),
    "profile": ("the device of the profile", lambda told: told if isinstance(told, str) else "yes"),
    "versions": ("versions", _versions),
    "workdir_disk_bytes": ("disk, where files go", _bytes),
    "temporary_disk_bytes": ("disk, temporary files", _bytes),
    "memory_bytes": ("memory", _bytes),
    "load": ("load of others", lambda load: f"{load:.1f}"),
    "governor": ("clock governor", str),
    "temperature_c": ("temperature", lambda hottest: f"{hottest:.0f} °C"),
    "throttling": ("slowed down", lambda names: ", ".join(names) or "no"),
    "quota": ("cpu quota", lambda quota: f"{quota['cores']:.4g} cores"),
    "cores": ("measured on", _cores),
    "work_s": ("the same work takes", lambda seconds: f"{1e3 * seconds:.3g} ms"),
    "told_apart": ("noise (A/A)", percent),
    "meter": ("meter of energy", lambda meter: str(meter["shown"])),
}
