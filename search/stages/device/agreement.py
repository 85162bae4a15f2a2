"""The same file here and on the device: before a score or a latency counts, both have to compute alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ....backends.registry import get_backend
from ....backends.runner.client import RunnerClient
from ....profiles.errors import StageError
from ....profiles.packages import versions
from ....profiles.precision import Precision
from ...record.agreement import Agreement, ComputesWronglyError
from ...store.store import Entry, Store
from ...workload.outputs import Layout, OutputChoice
from ...workload.workload import Array
from .again import Again
from .arrays_file import read_arrays, save_arrays
from .keys import agree_key, here_key
from .remote import Asked, RemoteDevice
from .runners import Runners
from .tolerance import Difference, difference, share_at_least, share_at_most

MOST_SAMPLES = 256
"""Of the calibration data: one wrong sample in a hundred is among so many in 92 of 100 cases."""
LEAST_SAMPLES, ENOUGH_S = 16, 20.0
"""On a slow board it ends after so many seconds, with as many samples as were computed by then."""
_PART_S = 4.0
_SATURATING = (Precision.INT8, Precision.INT8_DYNAMIC)
_OUTPUTS = "outputs.npz"


class Agreements:
    """Compares the artifacts of one study, each once for each state of the device. Nothing is asked where the
    device is this machine."""

    def __init__(
        self,
        store: Store,
        runners: Runners,
        announce: Callable[[str], None],
        again: Again,
    ) -> None:
        self._store, self._runners, self._announce, self._again = store, runners, announce, again
        self._device = runners.deployment.remote
        self._known: dict[str, Agreement] = {}

    def settled(self, compiled: Entry, backend: str, runner: RunnerClient | None = None) -> Agreement | None:
        """How the device's outputs of an artifact compare with those here; None where nothing is compared: on
        this machine, and of untrained weights. `runner` has the artifact open; without, one is started where
        the answer is not known.

        Raises:
            ComputesWronglyError: they differ by more than processors that compute rightly do. Not kept: it is
                asked anew the next time.
        """
        device = self._device
        if device is None or not compiled.meta.get("expected"):
            return None
        if not get_backend(backend).runs_here(self._runners.deployment.targets.get(backend, "")):
            return None
        if get_backend(backend).compiles_on_device:
            return None
        if compiled.key not in self._known:
            self._known[compiled.key] = self._compared(compiled, backend, device, runner)
        return self._known[compiled.key]

    def _compared(
        self,
        compiled: Entry,
        backend: str,
        device: RemoteDevice,
        runner: RunnerClient | None,
    ) -> Agreement:
        asked = device.asked()
        deployed, packages = self._runners.deployment, get_backend(backend).packages
        there = device.versions(packages)
        where = (deployed.device, *device.identity, *map(str, sorted(there.items())))
        key = agree_key(compiled.key, asked.digest, deployed.batch, deployed.threads, where)

        def make(_: Path) -> Mapping[str, Any]:
            self._announce("compare with this machine")
            here = self._here(compiled, backend, asked)
            with self._runners.lease.held_elsewhere(), ExitStack() as ended:
                on = runner or ended.enter_context(self._runners.opened(compiled, backend)[0])
                got = self._there(on, asked)
            agreement = _judged(compiled, here, got, asked.outputs, device.saturates_otherwise)
            named = {"device": self._runners.launch.device, "here": versions(packages), "there": there}
            agreement = Agreement(**{**asdict(agreement), **named})
            if not agreement.agrees:
                raise ComputesWronglyError(agreement)
            return asdict(agreement)

        # Whoever gives a runner has another one made where that one ends.
        made = make if runner else self._again.sturdy(make)
        about = {"artifact": compiled.key, "device": deployed.device}
        found = self._store.produce("agree", key, about, made)
        return Agreement(**found.meta)

    def _here(self, compiled: Entry, backend: str, asked: Asked) -> dict[str, Array]:
        """The outputs on this machine, by the artifact's own names."""
        deployed, data = self._runners.deployment, _first(asked.data, MOST_SAMPLES)
        made_by = tuple(map(str, sorted(versions(get_backend(backend).packages).items())))
        key = here_key(compiled.key, asked.digest, deployed.batch, deployed.threads, made_by)

        def make(into: Path) -> Mapping[str, Any]:
            save_arrays(into / _OUTPUTS, self._runners.infer_here(compiled, backend, data))
            return {"file": _OUTPUTS}

        entry = self._store.produce("here", key, {"artifact": compiled.key}, self._again.sturdy(make))
        return entry.read(entry.meta["file"], read_arrays)

    def _there(self, runner: RunnerClient, asked: Asked) -> dict[str, Array]:
        """The outputs on the device for as many samples as are computed in time."""
        data, batch = _first(asked.data, MOST_SAMPLES), self._runners.deployment.batch
        total, done, rows = len(next(iter(data.values()))), 0, batch
        parts: list[dict[str, Array]] = []
        started = time.monotonic()
        while done < total and (done < LEAST_SAMPLES or time.monotonic() - started < ENOUGH_S):
            part = {name: array[done : done + rows] for name, array in data.items()}
            before = time.monotonic()
            parts.append(runner.infer(part))
            done += len(next(iter(part.values())))
            if time.monotonic() - before < _PART_S / 2:
                rows *= 2
        if any(part.keys() != parts[0].keys() for part in parts):
            raise StageError("score", "the artifact's outputs change their names between samples")
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


SATURATION = (
    "sums of 8-bit products saturate at 16 bits on one of both processors and not on the other: the score is "
    "that of the device"
)


def _judged(
    compiled: Entry,
    here: Mapping[str, Array],
    there: Mapping[str, Array],
    choice: OutputChoice,
    saturates: bool,
) -> Agreement:
    """The output with the least room decides. `saturates`: one of both processors does, see `difference`."""
    rows = max(len(array) for array in there.values())
    wanted = {name: array[:rows] for name, array in choice.by_name(here).items()}
    names = tuple(dict.fromkeys((choice.primary, *choice.scored)))
    wrong = _wrong_form(wanted, there, choice, names)
    if wrong:
        return Agreement(agrees=False, output=choice.primary, samples=rows, why=wrong)
    got = choice.by_name(there)

    def least_room(saturates: bool) -> tuple[str, Difference]:
        found = {n: _difference(compiled, n, wanted, got, saturates) for n in names}
        worst = min(names, key=lambda name: found[name].room)
        return worst, found[worst]

    worst, found = least_room(saturates=False)
    known = ""
    if found.beyond and saturates and _precision(compiled) in _SATURATING:
        worst, found = least_room(saturates=True)
        known = "" if found.beyond else SATURATION
    return _agreement(found, worst, rows, known)


def _difference(
    compiled: Entry, name: str, wanted: Mapping[str, Array], got: Mapping[str, Array], saturates: bool
) -> Difference:
    errors = compiled.meta["artifact"].get("errors") or {}
    own = next(iter(errors.values())) if len(errors) == len(wanted) == 1 else errors.get(name, {})
    return difference(wanted[name], got[name], _precision(compiled), own, saturates=saturates)


def _precision(compiled: Entry) -> Precision:
    return Precision(compiled.meta["artifact"]["precision"])


def _first(data: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: array[:count] for name, array in data.items()}


def _wrong_form(
    wanted: Mapping[str, Array], there: Mapping[str, Array], choice: OutputChoice, names: tuple[str, ...]
) -> str:
    """What is plainly another output there: none of that name, another form, numbers that are none."""
    try:
        got = choice.by_name(there)
    except StageError as error:
        return error.cause
    for name in names:
        here, found = wanted[name], got[name]
        if found.ndim == 0 or len(found) != len(here) or Layout.of(found) != Layout.of(here):
            return f"its output {name!r} holds {_form(found)}, here {_form(here)}"
        lost = np.isfinite(here) & ~np.isfinite(found)
        if lost.any():
            rows = int(lost.reshape(len(lost), -1).any(axis=1).sum())
            return f"NaN or infinity in its output {name!r} for {rows} of {len(here)} samples, numbers here"
    return ""


def _form(array: Array) -> str:
    rows = np.atleast_1d(array)
    return f"{len(rows)} rows of {Layout.of(rows)}"


def _agreement(found: Difference, output: str, samples: int, known: str) -> Agreement:
    return Agreement(
        agrees=not found.beyond,
        output=output,
        samples=samples,
        off=found.off,
        allowed=found.allowed,
        worst=found.worst,
        worst_allowed=found.worst_allowed,
        own=found.own,
        flipped=found.flipped,
        why=_words(found, output, samples) if found.beyond else "",
        known=known,
    )


def _words(found: Difference, output: str, samples: int) -> str:
    """By how much, in words."""
    over_all = found.off > found.allowed
    off, allowed = (found.off, found.allowed) if over_all else (found.worst, found.worst_allowed)
    where = f"over {samples} samples" if over_all else f"in one of {samples} samples"
    said = f"{_percent(off)} off {where} where {_percent(allowed)} is possible"
    if found.flipped:
        low, high = (end(found.flipped, samples, 0.025) for end in (share_at_least, share_at_most))
        said += f"; another largest score for {found.flipped} of them ({_percent(low)} to {_percent(high)})"
    return f"{said} (output {output!r})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
