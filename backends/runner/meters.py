"""Meters of a device, asked through its runner: which there are, and what one told of an open artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ...profiles.meters import METER_KINDS, SCOPES
from ..energy.discover import LIMIT_S, MetersFound, MeterWish
from ..energy.meter import MOST_WATTS, MeterFacts, Unreadable
from ..energy.windows import FEWEST_WINDOWS, MeterWindow, MeterWindows
from .client import RunnerClient
from .reading import Reader, Reply, flag, list_of, mapping, number, text, whole

ASK_S = 2 * LIMIT_S * len(METER_KINDS)
_MOST_METERS, _MOST_TURNS = 256, 1000


def ask_meters(client: RunnerClient, wish: MeterWish) -> MetersFound:
    """Which meters the device has.

    Raises:
        StageError: it does not answer, or with nonsense.
    """
    reply = client.ask("meters", ASK_S, {"wish": asdict(wish)})
    meters = reply.read("meters", list_of(_facts))
    unreadable = reply.read("unreadable", list_of(_unreadable))
    if len(meters) + len(unreadable) > _MOST_METERS:
        raise reply.wrong(f"there are {len(meters) + len(unreadable)} meters")
    return MetersFound(meters=meters, unreadable=unreadable)


def ask_windows(
    client: RunnerClient,
    seconds: float,
    body: Mapping[str, Any],
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[MeterWindows | None, str]:
    """What a meter told of the artifact that is open, or why it tells nothing; see `energy.told.energy`. What
    `meanwhile` raises, which is called every second, ends it.

    Raises:
        StageError: it does not answer, or with nonsense.
    """
    reply = client.ask("energy", seconds, body, meanwhile=meanwhile)
    refused = reply.read("refused", text)
    return (None, refused) if refused else (_turns(reply), "")


def _turns(reply: Reply) -> MeterWindows:
    turns = reply.read("turns", list_of(window))
    if len(turns) % 2 == 0 or not 2 * FEWEST_WINDOWS < len(turns) <= _MOST_TURNS:
        raise reply.wrong(f"there are {len(turns)} windows")
    found = MeterWindows(turns=turns)
    if any(one.runs for one in found.idle) or not all(one.runs for one in found.work):
        raise reply.wrong("idle windows and those at work do not take turns")
    return found


def window(value: Any, name: str) -> MeterWindow:
    """A window as it is told, and kept.

    Raises:
        ValueError: it means nothing.
    """
    told = mapping(value, name)
    seconds, joules = (number(told.get(key), f"{key} of {name}") for key in ("seconds", "joules"))
    runs, readings = (whole(told.get(key), f"{key} of {name}") for key in ("runs", "readings"))
    if seconds <= 0 or joules > MOST_WATTS * seconds:
        raise ValueError(f"{name} has {joules:.6g} J within {seconds:.6g} s")
    return MeterWindow(seconds=seconds, joules=joules, runs=runs, readings=readings)


def _unreadable(value: Any, name: str) -> Unreadable:
    told = mapping(value, name)
    return Unreadable(
        **{key: text(told.get(key), f"{key} of {name}") for key in ("kind", "rail", "reason", "remedy")}
    )


_READERS: Mapping[str, Reader[Any]] = {
    "kind": text,
    "rail": text,
    "scope": text,
    "counter": flag,
    "every_s": number,
    "window_s": number,
    "settle_s": number,
    "step": number,
}


def _facts(value: Any, name: str) -> MeterFacts:
    told = mapping(value, name)
    found = MeterFacts(**{key: read(told.get(key), f"{key} of {name}") for key, read in _READERS.items()})
    if found.kind not in METER_KINDS or found.scope not in SCOPES or not found.rail:
        raise ValueError(f"{name} is {found.title!r}, which is no meter that is known here")
    if not 0 < found.every_s <= 60 or not 0 < found.window_s <= 300 or found.settle_s > 60:
        raise ValueError(f"{name} takes longer than any meter")
    return found
