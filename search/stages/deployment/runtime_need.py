"""What a runtime itself takes in memory on a device, before any model of a user's: no model needs less."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....backends.contract.backend import ONNX, Backend, CompileSettings, SourceModel
from ....backends.onnx_graph.smallest import smallest
from ....backends.registry import backend_version, get_backend
from ....backends.runner.client import Guard, RunnerClient
from ....backends.runner.launch import LocalLaunch
from ....backends.runner.leased import DeviceLease, LeasedClient
from ....backends.runner.memory_told import memory_of, runtime_bytes
from ....profiles.errors import StageError, UnsupportedError
from ....profiles.precision import Precision
from ...store.store import Store, content_key

STAGE, _VERSION = "runtime", 1
PROCESSES = 2
_PHASES = {"memory_load_bytes": "load", "memory_first_bytes": "first", "memory_steady_bytes": "steady"}


@dataclass(frozen=True, kw_only=True)
class RuntimeNeed:
    """Bytes above the process: what the runtime holds once it is imported, and at their peaks the phases of a
    session for a model that computes next to nothing (empty: no such model could be had). The least of
    several processes counts.
    """

    imported: int
    empty: Mapping[str, int]

    def of(self, metric: str) -> int:
        """What a figure of memory cannot be below on this runtime."""
        if metric in _PHASES:
            return max(self.imported, self.empty.get(_PHASES[metric], 0))
        return max(self.imported, self.empty.get("load", 0), self.empty.get("first", 0))


@dataclass(frozen=True, kw_only=True)
class RuntimeNeeds:
    """Measures it, once for each runtime, its versions on the device and number of threads.
    `device` is the device's identity, `versions` tells what is installed there of some packages, `targets`
    what backends compile for."""

    store: Store
    guard: Guard
    device: str
    versions: Callable[[tuple[str, ...]], Mapping[str, str]]
    targets: Mapping[str, str]
    threads: int

    def known(self, backend: str) -> RuntimeNeed | None:
        """What was measured last, with whatever versions the device had then."""
        return known_need(self.store, backend, self.device, self.threads)

    def measured(self, backend: str, lease: DeviceLease) -> RuntimeNeed | None:
        """What was measured before or now; None where the runtime does not run there.

        Raises:
            UserError: the device cannot be reached.
        """
        try:
            about, key = _about(backend, self.device, self.threads), self._key(backend)
            found = self.store.produce(STAGE, key, about, lambda _: self._made(backend, lease))
        except (StageError, UnsupportedError):  # its candidates will say why
            return None
        return _need(found.meta)

    def _key(self, backend: str) -> str:
        there = dict(self.versions(get_backend(backend).packages))
        return content_key(STAGE, _VERSION, {**_about(backend, self.device, self.threads), "there": there})

    def _made(self, backend: str, lease: DeviceLease) -> Mapping[str, Any]:
        with lease.held_elsewhere():
            imported = [self._imported(backend, lease) for _ in range(PROCESSES)]
            empty = self._empty(backend, lease)
        known = [one for one in imported if one is not None]
        if not known:
            raise StageError("measure", f"{backend} is not installed on the device")
        return {"imported": min(known), "empty": empty}

    def _imported(self, backend: str, lease: DeviceLease) -> int | None:
        with LeasedClient(lease, guard=self.guard, pinned=True) as runner:
            return runtime_bytes(runner, backend)

    def _empty(self, backend: str, lease: DeviceLease) -> dict[str, int]:
        """Phases of a session for the smallest model; nothing where it cannot be had."""
        with tempfile.TemporaryDirectory(prefix="paretune-smallest-") as folder:
            try:
                artifact = self._compiled(backend, Path(folder))
                found = [] if artifact is None else self._sessions(backend, artifact, lease)
            except (StageError, UnsupportedError):
                return {}
        known = [one for one in found if one]
        return {name: min(one[name] for one in known) for name in (known[0] if known else ())}

    def _compiled(self, backend: str, folder: Path) -> Path | None:
        one = get_backend(backend)
        model = _model_for(one, folder)
        if model is None or one.compiles_on_device:
            return None
        target = self.targets.get(backend, "")
        settings = CompileSettings(precision=Precision.FP32, batch=1, check=False, target=target)
        with RunnerClient(LocalLaunch(), guard=self.guard) as runner:
            data = {"x": np.zeros((1, 1), np.float32)}
            return runner.compile(backend, model, settings, data, folder).path

    def _sessions(self, backend: str, artifact: Path, lease: DeviceLease) -> list[dict[str, int]]:
        return [self._session(backend, artifact, lease) for _ in range(PROCESSES)]

    def _session(self, backend: str, artifact: Path, lease: DeviceLease) -> dict[str, int]:
        with LeasedClient(lease, guard=self.guard, pinned=True) as runner:
            opened = runner.open(backend, artifact, 1, self.threads)
            runner.prepare({spec.name: np.zeros(spec.shape, spec.dtype) for spec in opened.inputs})
            memory = memory_of(runner)
        return {} if memory is None else {name: memory.above_base(name) for name in _PHASES.values()}


def known_need(store: Store, backend: str, device: str, threads: int) -> RuntimeNeed | None:
    """What was measured last of a backend with so many threads on a device; None where nothing was."""
    about = _about(backend, device, threads)
    latest = (entry for entry in store.latest(STAGE) if entry.provenance == about)
    found = next(latest, None)
    return None if found is None else _need(found.meta)


def _about(backend: str, device: str, threads: int) -> dict[str, Any]:
    version = backend_version(backend)
    return {"backend": backend, "version": version, "device": device, "threads": threads}


def _model_for(backend: Backend, folder: Path) -> SourceModel | None:
    """The smallest model in the format that a backend compiles from: ONNX, or a file beside the backend."""
    if backend.source_format == ONNX:
        path = folder / "smallest.onnx"
        path.write_bytes(smallest().SerializeToString())
        return SourceModel(path=path, format=ONNX)
    beside = backend.beside(f"smallest.{backend.source_format}")
    return None if beside is None else SourceModel(path=beside, format=backend.source_format)


def _need(meta: Mapping[str, Any]) -> RuntimeNeed:
    return RuntimeNeed(imported=meta["imported"], empty=meta["empty"])
