"""Runner processes of one deployment: compilers, the reference that stays loaded, and what is measured."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....backends.contract.backend import Artifact, CompileSettings, SourceModel
from ....backends.measure.environment import cpu_ticks
from ....backends.measure.latency import measure
from ....backends.measure.samples import LatencyPlan, Rounds
from ....backends.registry import get_backend
from ....backends.runner.client import Guard, Opened, RunnerClient
from ....backends.runner.launch import Launch, LocalLaunch
from ....profiles.errors import InternalError, StageError
from ...store.store import Entry
from ...workload.workload import Array


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How artifacts run: batch and threads, the device's identity, and what decides integer arithmetic.

    `device` names where latency was taken and enters only keys of measurements; `instructions` is the digest
    of the instruction set and enters keys of scores, since integer kernels differ by it.
    """

    batch: int
    threads: int
    device: str
    instructions: str


class Runners:
    """Starts runners on the device. Compiling happens on this machine, except for backends whose artifacts
    belong to the device that compiled them."""

    def __init__(self, deployment: Deployment, launch: Launch, guard: Guard) -> None:
        self.deployment, self.launch, self.guard = deployment, launch, guard
        self.ticks = cpu_ticks if launch.shares_files else None
        # One thread stays on one core; the last one, as the driver and the system prefer the first.
        affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        pinned = deployment.threads == 1 and launch.shares_files and affinity
        self._cpu = affinity[-1] if pinned else None
        self._compilers: dict[str, RunnerClient] = {}
        self._reference: tuple[Entry, str] | None = None
        self._reference_client: RunnerClient | None = None
        self._reference_warm = False

    def opened(self, compiled: Entry, backend: str) -> tuple[RunnerClient, Opened, float]:
        """A runner of its own with an artifact loaded, its signature, and milliseconds of its first run."""
        runner = RunnerClient(self.launch, guard=self.guard, cpu=self._cpu)
        try:
            path = compiled.path / compiled.meta["file"]
            opened = runner.open(backend, path, self.deployment.batch, self.deployment.threads)
            with np.load(compiled.path / compiled.meta["sample"]) as sample:
                first_ms = runner.prepare(dict(sample))
        except BaseException:
            runner.close()
            raise
        return runner, opened, first_ms

    # -- compilers --------------------------------------------------------------------------------

    def compile(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        data: dict[str, Array],
        sample: dict[str, Array],
        into: Path,
    ) -> tuple[Artifact, Opened, dict[str, Array]]:
        """The artifact, its signature, and what it gives for the sample (nothing for untrained weights)."""
        runner = self._compiler(backend)
        try:
            artifact = runner.compile(backend, model, settings, data, into)
            opened = runner.open(backend, artifact.path, settings.batch, self.deployment.threads)
            return artifact, opened, runner.infer(sample) if settings.check else {}
        except BaseException:
            self._compilers.pop(backend).close()
            raise

    def _compiler(self, backend: str) -> RunnerClient:
        if backend not in self._compilers:
            launch = self.launch if get_backend(backend).compiles_on_device else LocalLaunch()
            self._compilers[backend] = RunnerClient(launch, guard=self.guard)
        return self._compilers[backend]

    # -- the reference ----------------------------------------------------------------------------

    @property
    def reference(self) -> tuple[Entry, str]:
        """The artifact that was named as the reference, and its backend.

        Raises:
            InternalError: none was named yet.
        """
        if self._reference is None:
            raise InternalError("something is measured or compared before the reference was set")
        return self._reference

    @property
    def reference_key(self) -> str:
        """The key of the reference, "" where none was named yet."""
        return self._reference[0].key if self._reference else ""

    def set_reference(self, compiled: Entry, backend: str) -> None:
        """Name the artifact that every measurement is interleaved with. It stays loaded in a runner."""
        self.close_reference()
        self._reference = (compiled, backend)
        self._reference_runner()

    def against_reference(self, subjects: Mapping[str, RunnerClient], plan: LatencyPlan) -> Rounds:
        """Measure; a reference whose process died in the middle is opened again once."""
        try:
            runner, warm = self._reference_runner(), self._reference_warm
            found = measure(subjects, runner, plan, ticks=self.ticks, warm_reference=warm)
        except StageError:
            self.close_reference()
            found = measure(subjects, self._reference_runner(), plan, ticks=self.ticks)
        self._reference_warm = True
        return found

    def _reference_runner(self) -> RunnerClient:
        if self._reference_client is None:
            self._reference_client = self.opened(*self.reference)[0]
        return self._reference_client

    def close_reference(self) -> None:
        """End its process; the next measurement starts another."""
        if self._reference_client is not None:
            self._reference_client.close()
            self._reference_client, self._reference_warm = None, False

    def close(self) -> None:
        """End every process."""
        self.close_reference()
        while self._compilers:
            self._compilers.popitem()[1].close()
