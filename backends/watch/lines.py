"""The state of a device as rows of name and text."""

from __future__ import annotations

from collections.abc import Iterable

from .state import Quota, State


def state_rows(state: State) -> list[tuple[str, str]]:
    """What was read, each with a name; nothing for what could not be."""
    rows = [
        ("governor", state.governor),
        ("clock", _clocks(state)),
        ("turbo", {True: "allowed", False: "off", None: ""}[state.turbo]),
        ("power mode", state.power_mode),
        ("temperature", _hottest(state)),
        ("slowed down now", _flags(state.slowing)),
        ("slowed down since it was started", _flags(state.was_slowed)),
        (
            "events of throttling",
            ", ".join(f"{name} {count}" for name, count in state.counts.items() if count),
        ),
        ("quota", quota_text(state.quota) if state.quota else ""),
        ("load", "" if state.load is None else f"{state.load:.2f}"),
    ]
    for gpu in state.gpus:
        parts = [f"{gpu.clock_mhz:.0f} MHz" if gpu.clock_mhz else ""]
        parts += [f"{gpu.temperature_c:.0f} °C" if gpu.temperature_c is not None else ""]
        rows.append((gpu.name or "GPU", ", ".join(filter(None, parts))))
    return [(name, text) for name, text in rows if text]


def quota_text(quota: Quota, *, counted: bool = True) -> str:
    """ "the time of 1.5 cores; 12 of 300 periods were cut short"."""
    said = f"the time of {quota.cores:.4g} {'core' if quota.cores == 1 else 'cores'}"
    cut = f"; {quota.throttled} of {quota.periods} periods were cut short"
    return said + (cut if quota.periods and counted else "")


def _clocks(state: State) -> str:
    most = max(state.most_mhz.values(), default=None)
    if not state.clock_mhz:
        return "" if most is None else f"up to {most:.0f} MHz"
    low, high = span(state.clock_mhz.values())
    said = f"{low:.0f} MHz" if low == high else f"{low:.0f} to {high:.0f} MHz"
    return said if most is None else f"{said} of {most:.0f} MHz"


def _hottest(state: State) -> str:
    return "" if (hot := state.hottest_c) is None else f"{hot:.0f} °C at the hottest sensor"


def _flags(names: tuple[str, ...] | None) -> str:
    return "" if names is None else ", ".join(names) or "no"


def span(values: Iterable[float]) -> tuple[float, float]:
    """Least and largest."""
    found = list(values)
    return min(found), max(found)
