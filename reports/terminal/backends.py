"""Terminal view of the runtimes: which are installed, what each can do on a device, how to get the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...backends.registry import backend_names, get_backend, offers, plugins, probes
from ...backends.runner.available import RuntimeHere, find_runtimes
from ...profiles.devices.loader import load_profile
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError
from ...profiles.guard.time_limit import set_time_limit
from ...profiles.packages import one_command, versions
from ...profiles.words import one_line

_PATIENCE_S = 20.0
_MOST = 300


@dataclass(frozen=True, kw_only=True)
class RuntimeRow:
    """One backend: its state here, what it offers on the device, the reasons for what it does not, and the
    command that installs it."""

    name: str
    title: str
    state: str
    installed: bool = False
    install: str = ""
    offered: tuple[str, ...] = ()
    tunable: bool = False
    lacking: str = ""


def backends_text(profile: str = "host") -> RenderableType:
    """Every backend with its version and what it offers on the device, and how to install what is missing.

    Raises:
        UserError: no such profile.
    """
    device, rows = runtime_rows(profile)
    table = Table(show_edge=False, pad_edge=False, show_lines=True, expand=True)
    for title, share in (("backend", 4), (f"offers on {device.name}", 4), ("does not offer, and why", 7)):
        table.add_column(title, overflow="fold", ratio=share)
    for row in rows:
        name = f"{row.name}: {row.title}" if row.title else row.name
        offered = ", ".join(row.offered) + ("\nonly with `tuning:`" if row.offered and row.tunable else "")
        table.add_row(*map(Text, (f"{name}\n{row.state}", offered, row.lacking)))
    return Group(table, Text(""), *map(Text, _remedies(rows, device)))


def runtime_rows(profile: str = "host") -> tuple[Profile, tuple[RuntimeRow, ...]]:
    """A device, and every backend as it is here and there.

    Raises:
        UserError: no such profile.
    """
    set_time_limit(_PATIENCE_S)
    here = find_runtimes(backend_names(), _PATIENCE_S)
    device = load_profile(profile, probes=probes([name for name, found in here.items() if found.loads]))
    return device, tuple(_row(name, found, device) for name, found in here.items())


def _row(name: str, found: RuntimeHere, device: Profile) -> RuntimeRow:
    if not found.loads:
        return RuntimeRow(name=name, title="", state=f"cannot be used: {one_line(found.reason, _MOST)}")
    try:
        backend = get_backend(name)
        listed = [(offer.what, offer.offered, offer.reason) for offer in offers(name, device)]
    except UserError as error:
        return RuntimeRow(name=name, title="", state=f"cannot be used: {one_line(error.problem, _MOST)}")
    return RuntimeRow(
        name=name,
        title=backend.title,
        state=_state(found, absent=not versions(backend.packages) and name not in plugins()),
        installed=found.installed,
        install=found.install,
        offered=tuple(what for what, offered, _ in listed if offered),
        tunable=backend.tunable,
        lacking=_lacking([(what, why) for what, offered, why in listed if not offered], backend.title),
    )


def _state(found: RuntimeHere, *, absent: bool) -> str:
    """Its version, or why it cannot be used. `absent`: it is one of ours whose package is not installed."""
    reason = one_line(found.reason, _MOST)
    if found.installed:
        return f"{found.version} ({reason})" if reason else found.version
    return "not installed" if absent else f"cannot be used: {reason}"


def _lacking(refused: Sequence[tuple[str, str]], title: str) -> str:
    """What is not offered with the reasons, those that are the same told once."""
    by_reason: dict[str, list[str]] = {}
    for what, why in refused:
        short = why.removeprefix(f"{title.partition(' (')[0]}: ").removeprefix(f"{what}: ")
        by_reason.setdefault(short, []).append("" if what == "all" else what)
    parts = ((", ".join(filter(None, whats)), why) for why, whats in by_reason.items())
    return "\n".join(f"{whats}: {why}" if whats else why for whats, why in parts)


def _remedies(rows: Sequence[RuntimeRow], device: Profile) -> Iterator[str]:
    """How to install what is missing and would be of use on the device."""
    commands = [row.install for row in rows if row.offered and not row.installed and row.install]
    if commands:
        yield "to install what is missing: " + " && ".join(one_command(commands))
    yield f"`paretune devices {device.name}` says what to know of each precision that is offered"
