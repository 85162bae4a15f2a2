"""What of a device's state speaks against measuring: governor, temperature, throttling, a quota."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..watch.lines import quota_text
from ..watch.state import State
from .facts import Facts

HOT_C = 80.0
"""Where small boards begin to slow down (Raspberry Pi: 80 °C by its documentation), the others soon after."""
PERFORMANCE = "performance"
_GOVERN = f"echo {PERFORMANCE} | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at: its value as plain data, and whether it is as measuring needs it (None:
    it cannot be told, or is only worth knowing). `why` and `remedy` are for the reader."""

    name: str
    value: Any
    ok: bool | None = True
    why: str = ""
    remedy: str = ""


UNTOLD = "the device does not say"


def conditions(facts: Facts) -> Iterator[Finding]:
    """By its state before the A/A, and after it, when it has worked for a while."""
    before, after = facts.before, facts.after
    if before is None:
        for name in ("governor", "temperature_c", "throttling", "quota"):
            yield Finding(name=name, value=None, ok=None, why=UNTOLD)
        return
    yield _governor(before.governor, facts)
    yield _temperature(before, after)
    yield _throttling(before, after)
    yield _quota(before, after)


def _governor(governor: str, facts: Facts) -> Finding:
    if not governor:
        return Finding(name="governor", value=None, ok=None, why=UNTOLD)
    if governor == PERFORMANCE:
        return Finding(name="governor", value=governor)
    command = f"{facts.by_hand} {shlex.quote(_GOVERN)}" if facts.by_hand else _GOVERN
    why = "the clock follows the load, so that what runs first is slower than what follows"
    return Finding(name="governor", value=governor, ok=False, why=why, remedy=f"`{command}`")


def _temperature(before: State, after: State | None) -> Finding:
    told = [one.hottest_c for one in (before, after) if one is not None]
    known = [value for value in told if value is not None]
    if not known:
        return Finding(name="temperature_c", value=None, ok=None, why=UNTOLD)
    if max(known) < HOT_C:
        return Finding(name="temperature_c", value=max(known))
    why = f"from {HOT_C:.0f} °C on boards slow down"
    remedy = "let it cool down, or cool it, and check it again"
    return Finding(name="temperature_c", value=max(known), ok=False, why=why, remedy=remedy)


def _throttling(before: State, after: State | None) -> Finding:
    told = [one.slowing for one in (before, after) if one is not None and one.slowing is not None]
    now = list(dict.fromkeys(name for names in told for name in names))
    grown = _grown(before, after)
    if now or grown:
        why = ", ".join([*now, *grown]) + " slows it down"
        remedy = "a power supply that suffices, cooling, a higher power mode; then check it again"
        return Finding(name="throttling", value=[*now, *grown], ok=False, why=why, remedy=remedy)
    if before.was_slowed:
        why = f"{', '.join(before.was_slowed)} slowed it down since it was started, not now"
        return Finding(name="throttling", value=[], ok=None, why=why)
    if not told:
        return Finding(name="throttling", value=None, ok=None, why=UNTOLD)
    return Finding(name="throttling", value=[])


def _grown(before: State, after: State | None) -> list[str]:
    """Counters of throttling that grew while it was checked."""
    later = {} if after is None else after.counts
    return [name for name, count in before.counts.items() if later.get(name, 0) > count]


def _quota(before: State, after: State | None) -> Finding:
    quota = before.quota
    if quota is None:
        return Finding(name="quota", value=None)
    later = after.quota if after and after.quota else quota
    value = {"cores": quota.cores, "cut_short": later.throttled - quota.throttled}
    remedy = "give the container more (`docker run --cpus`, `limits.cpu`, `CPUQuota=`)"
    if quota.cores < 1:
        why = f"a control group leaves it {quota_text(quota)}: latencies would be those of the quota"
        return Finding(name="quota", value=value, ok=False, why=why, remedy=remedy)
    if later.throttled > quota.throttled:
        why = f"a control group leaves it {quota_text(quota)}, and cut this check short"
        return Finding(name="quota", value=value, ok=False, why=why, remedy=remedy)
    why = f"a control group leaves it {quota_text(quota)}: use no more threads"
    return Finding(name="quota", value=value, ok=None, why=why)
