"""The state of a device, asked through its runner: `state`, an operation that needs no open session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..measure.core_speeds import FastestCores
from ..watch.state import LEAST_C, MOST_C, State
from .client import RunnerClient
from .reading import Reader, flag, list_of, map_of, mapping, maybe, number, share, text, whole

ASK_S = 120.0
_MOST = 4096  # of cores, sensors and cards: no device has more


def state(client: RunnerClient, cores: Sequence[int] | None = None, *, thorough: bool = True) -> State:
    """What a device tells of itself now; clocks of those cores (None: all). At a glance, where not
    `thorough`: what is quick to read alone.

    Raises:
        StageError: it does not answer, or with nonsense.
    """
    body = {"cores": None if cores is None else list(cores), "thorough": thorough}
    reply = client.ask("state", ASK_S, body)
    return reply.read("state", _state)


def ask_fastest(client: RunnerClient, threads: int) -> FastestCores:
    """Which cores the device holds so many threads on, by the measured speed of each.

    Raises:
        StageError: it does not answer, or with nonsense.
    """
    reply = client.ask("cores", ASK_S, {"threads": threads})
    cores = reply.read("cores", _few(list_of(whole)))
    speeds = reply.read("speeds", _few(map_of(share)))
    if not all(core.isdecimal() for core in speeds) or len(set(cores)) < len(cores):
        raise reply.wrong("cores and speeds do not name cores")
    return FastestCores(cores=cores, speeds={int(core): speed for core, speed in speeds.items()})


def _temperature(value: Any, name: str) -> float:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if right and LEAST_C <= value <= MOST_C:
        return float(value)
    raise ValueError(f"{name} is {str(value)[:40]!r}, and has to be a temperature")


def _few(reader: Reader[Any]) -> Reader[Any]:
    def read(value: Any, name: str) -> Any:
        found = reader(value, name)
        if len(found) > _MOST:
            raise ValueError(f"{name} has {len(found)} entries, more than {_MOST}")
        return found

    return read


def _record(fields: Mapping[str, Reader[Any]]) -> Reader[dict[str, Any]]:
    """Those fields that are there; what a later version tells beside them is left out."""

    def read(value: Any, name: str) -> dict[str, Any]:
        found = mapping(value, name)
        return {key: fields[key](found[key], f"{key} of {name}") for key in fields if key in found}

    return read


_NAMES: Reader[Any] = maybe(_few(list_of(text)))
_GPU = _record(
    {
        "name": text,
        "clock_mhz": maybe(number),
        "temperature_c": maybe(_temperature),
        "slowed": _NAMES,
    }
)
_QUOTA = _record({"cores": number, "periods": whole, "throttled": whole, "throttled_s": number})
_STATE = _record(
    {
        "seconds": number,
        "clock_mhz": _few(map_of(number)),
        "most_mhz": _few(map_of(number)),
        "governor": text,
        "turbo": maybe(flag),
        "temperature_c": _few(map_of(_temperature)),
        "slowed": _NAMES,
        "was_slowed": _NAMES,
        "counts": _few(map_of(whole)),
        "power_mode": text,
        "gpus": _few(list_of(_GPU)),
        "quota": maybe(_QUOTA),
        "load": maybe(number),
    }
)


def _state(value: Any, name: str) -> State:
    found = _STATE(value, name)
    quota = found.get("quota")
    if "seconds" not in found or (quota is not None and "cores" not in quota):
        raise ValueError(f"{name} lacks its time, or the cores of its quota")
    return State.from_json(found)
