"""The same file here and on the device: before a score or a latency counts, both have to compute alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ....backends.contract.backend import SourceModel
from ....backends.registry import get_backend
from ....backends.runner.client import RunnerClient
from ....backends.runner.float_model import float_outputs
from ....backends.runner.launch import LocalLaunch
from ....profiles.packages import versions
from ...record.agreement import Agreement, ComputesWronglyError
from ...record.setting import Setting
from ...store.store import Entry, Store
from ...workload.workload import Array
from .again import Again
from .arrays_file import read_arrays, save_arrays
from .judged import judged
from .keys import agree_key, here_key
from .remote import Asked, RemoteDevice
from .runners import Runners

MOST_SAMPLES = 256
"""Of the calibration data: one wrong sample in a hundred is among so many in 92 of 100 cases."""
LEAST_SAMPLES, ENOUGH_S = 16, 20.0
"""On a slow board it ends after so many seconds, with as many samples as were computed by then."""
_PART_S = 4.0
_OUTPUTS = "outputs.npz"
_FIELDS = {field.name for field in fields(Agreement)}


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
        self._known: dict[tuple[str, Setting], Agreement | None] = {}

    def settled(
        self,
        compiled: Entry,
        backend: str,
        runner: RunnerClient | None = None,
        setting: Setting | None = None,
    ) -> Agreement | None:
        """How the device's outputs of an artifact compare with those here; None where nothing is compared: on
        this machine, and of untrained weights. A `runner` that has the artifact open, and is about to be
        believed, is asked itself; without, one is started where the answer is not known. Here it is run with
        the runtime's defaults, whatever the `setting` that it has there.

        Raises:
            ComputesWronglyError: they differ by more than processors that compute rightly do. Not kept: it is
                asked anew the next time.
        """
        device = self._device
        if device is None or not compiled.meta.get("expected"):
            return None
        how = setting or self._runners.deployment.usual
        if runner is not None or (compiled.key, how) not in self._known:
            self._known[compiled.key, how] = self._compared(compiled, backend, device, runner, how)
        return self._known[compiled.key, how]

    def _compared(
        self, compiled: Entry, backend: str, device: RemoteDevice, runner: RunnerClient | None, how: Setting
    ) -> Agreement | None:
        asked, deployed = device.asked(), self._runners.deployment
        there = device.versions(get_backend(backend).packages)
        where = (deployed.device, *device.identity, *map(str, sorted(there.items())))
        key = agree_key(compiled.key, asked.digest, how, where)
        wanted = (self._here if self._runs_here(backend) else self._float)(
            compiled, backend, asked, how.batch
        )
        if wanted is None:
            return None
        now = self._asked(compiled, backend, wanted, device, runner, how) if runner else None

        def make(_: Path) -> Mapping[str, Any]:
            return asdict(now or self._asked(compiled, backend, wanted, device, None, how))

        about = {"artifact": compiled.key, "device": deployed.device}
        meta = self._store.produce("agree", key, about, self._again.sturdy(make)).meta
        return now or _right(Agreement(**{name: meta[name] for name in _FIELDS & meta.keys()}))

    def _asked(
        self,
        compiled: Entry,
        backend: str,
        wanted: Mapping[str, Array],
        device: RemoteDevice,
        runner: RunnerClient | None,
        how: Setting,
    ) -> Agreement:
        """What the device computes now."""
        self._announce("compare with this machine")
        asked, packages = device.asked(), get_backend(backend).packages
        with self._runners.lease.held_elsewhere(), ExitStack() as ended:
            on = runner or ended.enter_context(self._runners.opened(compiled, backend, how)[0])
            got = computed(on, asked.data, how.batch)
        found = judged(
            compiled.meta["artifact"],
            wanted,
            got,
            asked.outputs,
            saturates=device.saturates_otherwise,
            by_float=not self._runs_here(backend),
        )
        here, there, name = versions(packages), device.versions(packages), self._runners.launch.device
        return _right(replace(found, device=name, here=here, there=there))

    def _runs_here(self, backend: str) -> bool:
        known, target = get_backend(backend), self._runners.deployment.targets.get(backend, "")
        return known.runs_here(target) and not known.compiles_on_device

    def _here(self, compiled: Entry, backend: str, asked: Asked, batch: int) -> dict[str, Array]:
        """The outputs on this machine, by the artifact's own names."""
        deployed, data = self._runners.deployment, _first(asked.data, MOST_SAMPLES)
        made_by = tuple(map(str, sorted(versions(get_backend(backend).packages).items())))
        key = here_key(compiled.key, asked.digest, batch, deployed.threads, made_by)

        def make(into: Path) -> Mapping[str, Any]:
            save_arrays(into / _OUTPUTS, self._runners.infer_here(compiled, backend, data, batch))
            return {"file": _OUTPUTS}

        entry = self._store.produce("here", key, {"artifact": compiled.key}, self._again.sturdy(make))
        return entry.read(entry.meta["file"], read_arrays)

    def _float(self, compiled: Entry, backend: str, asked: Asked, batch: int) -> dict[str, Array] | None:
        """The outputs of the float model on this machine; None where that does not run here."""
        source = self._store.get("export", str(compiled.provenance.get("source")))
        if source is None:
            return None
        data = _first(asked.data, MOST_SAMPLES)
        key = here_key(source.key, asked.digest, batch, 1, ("float",))

        def make(into: Path) -> Mapping[str, Any]:
            model = SourceModel(path=source.file(source.meta["file"]), format=source.meta["format"])
            guard = self._runners.guard
            with RunnerClient(LocalLaunch(), guard=guard) as runner:
                outputs = float_outputs(runner, backend, model, batch, data, guard.run_s)
            save_arrays(into / _OUTPUTS, outputs)
            return {"file": _OUTPUTS}

        entry = self._store.produce("here", key, {"source": source.key}, self._again.sturdy(make))
        return entry.read(entry.meta["file"], read_arrays) or None


def _right(agreement: Agreement) -> Agreement:
    if not agreement.agrees:
        raise ComputesWronglyError(agreement)
    return agreement


def computed(runner: RunnerClient, data: Mapping[str, Array], batch: int) -> list[dict[str, Array]]:
    """The outputs of what a runner has open, for as many of the samples as are computed in time."""
    total, done, rows = min(MOST_SAMPLES, len(next(iter(data.values())))), 0, batch
    parts: list[dict[str, Array]] = []
    started = time.monotonic()
    while done < total and (done < LEAST_SAMPLES or time.monotonic() - started < ENOUGH_S):
        part = {name: array[done : min(done + rows, total)] for name, array in data.items()}
        before = time.monotonic()
        parts.append(runner.infer(part))
        done += len(next(iter(part.values())))
        if time.monotonic() - before < _PART_S / 2:
            rows *= 2
    return parts


def _first(data: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: array[:count] for name, array in data.items()}
