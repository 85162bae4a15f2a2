"""One artifact kept at work for minutes on the device, minute by minute, beside the device's own state."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from ....backends.load.under_load import UnderLoad
from ....backends.runner.client import RunnerClient
from ....backends.runner.loads import back_to_back, under_load
from ....backends.runner.states import state
from ....backends.watch.state import State
from ....profiles.errors import StageError
from ...record.setting import Setting
from ...record.sustained import Minute, Sustained, SustainedLoad
from ...store.store import Entry
from ..device.stages import DeviceStages
from .cooling import Cooling
from .minutes import hot_minutes, kept_up, minute_of, percentiles, slowdown, tails, together
from .tries import Deployable

STAGE, _VERSION = "sustained", 1
PIECE_S, MINUTE_S = 5.0, 60.0
PROBES, PROBE_S = 8, 0.25
"""Pieces back to back right before and right after the work: what both have in common goes out of their
ratio."""
_NEARLY = 1e-6
_READ = TypeAdapter(Sustained)


@dataclass(frozen=True, kw_only=True)
class SustainedAsked:
    """What the study file asks of each finalist. `again` sets apart what is asked anew."""

    seconds: float
    load: SustainedLoad
    again: str = ""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one artifact is to do: for `seconds` at `rate` requests a second (0: back to back); a run takes
    about `run_s`. `shown` is told each minute by its number, `checkpoint` may raise to end it."""

    asked: SustainedAsked
    seconds: float
    rate: float
    run_s: float
    cooling: Cooling
    shown: Callable[[int, Minute], None]
    checkpoint: Callable[[], None]


def kept_at_work(one: Deployable, device: DeviceStages, work: Work) -> Sustained:
    """What it showed, from the store where it was asked before.

    Raises:
        StageError: the runner failed.
        Interrupted: a stop was asked for.
    """
    parts = _parts(work.asked, work.seconds)

    def ask(runner: RunnerClient) -> Mapping[str, Any]:
        found = Worker(runner, work, device.reference_ms).worked()
        return {"asked": parts, "setting": _plain(one.setting), "found": asdict(found)}

    entry = device.apart.asked(STAGE, _VERSION, one.compiled, one.backend, parts, ask, one.setting)
    return _READ.validate_python(entry.meta["found"])


def was_kept(one: Deployable, device: DeviceStages, asked: SustainedAsked) -> bool:
    """Whether the store has the whole of it already."""
    return any(_is_of(entry, one, _parts(asked, asked.seconds)) for entry in device.store.latest(STAGE))


def _is_of(entry: Entry, one: Deployable, parts: Mapping[str, Any]) -> bool:
    kept = [entry.provenance.get("artifact"), entry.meta.get("asked"), entry.meta.get("setting")]
    return bool(kept == [one.compiled.key, parts, _plain(one.setting)])


def _plain(setting: Setting) -> Any:
    return json.loads(json.dumps(asdict(setting)))


def _parts(asked: SustainedAsked, seconds: float) -> dict[str, Any]:
    return {"seconds": seconds, "load": str(asked.load), **({"again": asked.again} if asked.again else {})}


class Worker:
    """Keeps what is open in a runner at work; `reference_ms` is what the reference takes at a moment."""

    def __init__(self, runner: RunnerClient, work: Work, reference_ms: Callable[[], float]) -> None:
        self._runner, self._work, self._reference_ms = runner, work, reference_ms

    def worked(self) -> Sustained:
        """All that it showed, but for what was measured of it before."""
        work = self._work
        cooled = "" if self._is_simulated() else work.cooling.wait(self._temperature, work.checkpoint)
        before, rested = self._probes(), self._reference_ms()
        minutes, wholes = self._minutes()
        after, warm = self._probes(), self._reference_ms()
        count = hot_minutes(len(wholes))
        last = together(wholes[-count:])
        how = f"of the last {count} of {len(wholes)} minutes at work ({work.asked.load})"
        return Sustained(
            asked_s=work.asked.seconds,
            seconds=work.seconds,
            load=str(work.asked.load),
            rate=work.rate,
            minutes=minutes,
            hot=percentiles(last, how) if work.rate else {},
            tails=tails(wholes[0], last),
            hot_minutes=count,
            slowdown=slowdown(before, after),
            reference=warm / rested if rested > 0 else None,
            cooled=cooled,
            kept_up=kept_up(wholes),
        )

    def _is_simulated(self) -> bool:
        """Whether time passes there that does not pass here."""
        start = time.monotonic()
        return self._probe().seconds > 2 * (time.monotonic() - start)

    def _probes(self) -> list[float]:
        """Milliseconds of a run in the middle of each of some pieces."""
        return [self._probe().percentile_ms(0.5) for _ in range(PROBES)]

    def _probe(self) -> UnderLoad:
        return back_to_back(self._runner, PROBE_S, run_s=self._work.run_s)

    def _minutes(self) -> tuple[tuple[Minute, ...], list[UnderLoad]]:
        """Each minute, and all that was served in it."""
        found, wholes, pieces, spent = list[Minute](), list[UnderLoad](), list[UnderLoad](), 0.0
        while spent < self._work.seconds - _NEARLY:
            self._work.checkpoint()
            pieces.append(self._piece(len(pieces) + 100 * len(found), self._work.seconds - spent))
            spent += pieces[-1].seconds
            over = spent >= self._work.seconds - _NEARLY
            if over or sum(one.seconds for one in pieces) >= MINUTE_S - _NEARLY:
                found.append(minute_of(pieces, self._state(thorough=True)))
                wholes.append(together(pieces))
                pieces = []
                self._work.shown(len(found), found[-1])
        return tuple(found), wholes

    def _piece(self, seed: int, left: float) -> UnderLoad:
        rate, seconds, run_s = self._work.rate, min(PIECE_S, left), self._work.run_s
        if not rate:
            return back_to_back(self._runner, seconds, run_s=run_s)
        arrivals = max(1, round(rate * seconds))
        limit_s = arrivals / rate + max(1.0, 10 * run_s)
        return under_load(self._runner, rate, arrivals, limit_s, seed=seed, run_s=run_s)

    def _temperature(self) -> float | None:
        seen = self._state(thorough=True)
        return None if seen is None else seen.hottest_c

    def _state(self, *, thorough: bool) -> State | None:
        """How the device is; None where it does not tell, and a runner that has died says so itself."""
        try:
            return state(self._runner, thorough=thorough)
        except StageError:
            if self._runner.ended is not None:
                raise
            return None
