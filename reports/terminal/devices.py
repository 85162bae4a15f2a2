"""Terminal views of device profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...backends.boards.same_runner import runner_remark
from ...backends.registry import backend_names, offers, probes
from ...backends.runner.client import Guard, RunnerClient
from ...backends.runner.launch import launch_for
from ...backends.runner.leased import holder_of
from ...profiles.devices.loader import load_profile, shipped_profiles
from ...profiles.devices.reported import fit_of
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError
from ...profiles.guard.time_limit import set_time_limit
from ...search.job.reached import other_versions
from ...search.record.metrics import metric_info

_PATIENCE_S = 60.0  # a slow board imports numpy in ten; backends of others are loaded meanwhile


def devices_text() -> RenderableType:
    """All profiles that ship, and this machine."""
    set_time_limit(_PATIENCE_S)
    table = Table(show_edge=False, pad_edge=False)
    for title in ("profile", "device", "memory", "reached by"):
        table.add_column(title, overflow="fold")
    for name in ("host", *shipped_profiles()):
        profile = load_profile(name, probes=probes())
        table.add_row(name, profile.title, _memory(profile), profile.reach.kind)
    hint = (
        "\n`paretune devices NAME` shows one device: what each backend can do there, and whether it answers"
    )
    return Group(table, Text(hint))


def device_text(name: str) -> RenderableType:
    """One profile: facts, capability of each backend, and whether the device answers.

    Raises:
        UserError: no such profile, or the device cannot be reached.
    """
    set_time_limit(_PATIENCE_S)
    profile = load_profile(name, probes=probes())
    parts: list[RenderableType] = [Text(profile.title), *map(Text, _facts(profile)), Text("")]
    table = Table(show_edge=False, pad_edge=False)
    for title in ("backend", "what", "offered", "why, or what to know"):
        table.add_column(title, overflow="fold")
    for backend in backend_names():
        for what, offered, reason in _offers(backend, profile):
            table.add_row(backend, what, "yes" if offered else "no", Text(reason))
    return Group(*parts, table, Text(""), Text(_reach(profile)))


def _offers(backend: str, profile: Profile) -> list[tuple[str, bool, str]]:
    """What it offers, whether, and why or what to know; a package that is broken stops nothing else."""
    try:
        return [(offer.what, offer.offered, offer.reason) for offer in offers(backend, profile)]
    except UserError as error:
        return [("all", False, error.problem)]


def _memory(profile: Profile) -> str:
    section = profile.cpu or profile.gpu
    figure = section.memory_bytes if section else None
    return metric_info("memory_bytes").format(figure.value) if figure else "unknown"


def _facts(profile: Profile) -> list[str]:
    lines = []
    if profile.cpu:
        cpu = profile.cpu
        lines.append(f"processor: {cpu.model}, {cpu.cores} cores, {cpu.threads} threads ({cpu.source})")
        lines.append("instruction sets: " + (", ".join(cpu.instruction_sets) or "none listed"))
        lines += [f"peak {p}: {f.value:.4g} GOP/s ({f.source})" for p, f in cpu.peaks_gop_per_s.items()]
        if cpu.bandwidth_gb_per_s:
            lines.append(
                f"bandwidth: {cpu.bandwidth_gb_per_s.value:.4g} GB/s ({cpu.bandwidth_gb_per_s.source})"
            )
    if profile.gpu:
        gpu = profile.gpu
        lines.append(f"GPU: {gpu.model}, {gpu.sm_name} ({gpu.source})")
        lines += [f"peak {p}: {f.value:.4g} GOP/s ({f.source})" for p, f in gpu.peaks_gop_per_s.items()]
    return lines


def _reach(profile: Profile) -> str:
    if profile.reach.kind == "none":
        return (
            "reach: none; copy this profile to a file of your own and add a `reach` section to measure on it"
        )
    if not profile.pool:
        return _answers(profile, "")
    found, away = list[str](), list[UserError]()
    for device in profile.pool:
        try:
            found.append(f"{device}: {_answers(profile, device)}")
        except UserError as error:
            away.append(error)
            found.append(f"{error.problem} ({error.found})")
    if len(away) == len(found):
        raise away[0]
    return "\n".join(found)


def _answers(profile: Profile, device: str) -> str:
    """What a device says, of a pool the one of that name."""
    launch = launch_for(profile.of_device(device), device)
    with RunnerClient(launch, guard=Guard(open_s=_PATIENCE_S)) as runner:
        hello, (holder, no_lease) = runner.hello(), holder_of(runner)
    packages = hello.environment.get("packages", {})
    found = ", ".join(f"{name} {version}" for name, version in dict(packages).items())
    lease = f"none is possible there: {no_lease}" if no_lease else str(holder or "free")
    answers = f"reach: {profile.reach.kind}, the runner answers (process {hello.pid}; {found})"
    lines = [answers, runner_remark(hello), f"lease: {lease}"]
    if profile.reach.kind != "local":
        lines += [*_unlike(profile, hello.environment), *other_versions(hello.environment)]
    return "\n".join(filter(None, lines))


def _unlike(profile: Profile, environment: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the device is not what its profile says; a study would end with what cannot be."""
    try:
        return fit_of(profile, environment)
    except UserError as error:
        return (f"{error.problem}: {error.found}",)
