"""Runner processes of one deployment: compilers, the reference that stays loaded, and what is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import psutil

from ....backends.contract.backend import Artifact, CompileSettings, SourceModel
from ....backends.measure.environment import cpu_ticks
from ....backends.measure.latency import Subject, calibrate_loops, measure
from ....backends.measure.samples import LatencyPlan, Rounds
from ....backends.measure.watched import refuse_cut_short
from ....backends.registry import get_backend
from ....backends.runner.client import Guard, Pinned, RunnerClient
from ....backends.runner.launch import LocalLaunch
from ....backends.runner.leased import DeviceLease, LeasedClient
from ....backends.runner.memory_told import free_memory
from ....backends.runner.replies import Opened
from ....profiles.errors import InternalError, StageError
from ...record.setting import Setting
from ...store.store import Entry
from ...workload.workload import Array
from .arrays_file import read_arrays
from .deployment import Deployment as Deployment
from .effort import ReferencePace, run_seconds
from .left_open import LeftOpen
from .watching import Watching

_GLANCE, _GLANCE_S = 15, 0.5
PROCESS_BYTES = 100_000_000  # what a runner needs beside the model, seen up to 80 MB


class Runners:
    """Starts runners on the device. Compiling happens on this machine, except for backends whose artifacts
    belong to the device that compiled them."""

    def __init__(
        self, deployment: Deployment, lease: DeviceLease, guard: Guard, *, pinned: Pinned = True
    ) -> None:
        self.deployment, self.lease, self.launch, self.guard = deployment, lease, lease.launch, guard
        self._ticks = cpu_ticks if self.launch.shares_files else None
        self._pinned = pinned
        self._compilers: dict[str, RunnerClient] = {}
        self.left = LeftOpen()
        self._reference: tuple[Entry, str] | None = None
        self._reference_clients: list[RunnerClient] = []
        self._reference_most: int | None = None
        self._reference_warm = False
        self.cores: tuple[int, ...] = ()
        self.pace = ReferencePace(local=self.launch.shares_files)
        there = None if self.launch.shares_files else lambda: self._reference_clients
        self._watch = Watching(there, lambda: self.cores, deployment.watched)

    def opened(
        self, compiled: Entry, backend: str, setting: Setting | None = None
    ) -> tuple[RunnerClient, Opened, float]:
        """A runner of its own with an artifact loaded, its signature, and milliseconds of its first run.
        Without a setting it is run as the study runs all (`Deployment.usual`)."""
        self.left.close()
        how, runner = (
            setting or self.deployment.usual,
            LeasedClient(self.lease, guard=self.guard, pinned=self._pinned),
        )
        try:
            path = compiled.file(compiled.meta["file"])
            opened = runner.open(backend, path, how.batch, how.threads, dict(how.options))
            self.cores = opened.cores
            first_ms = runner.prepare(compiled.read(compiled.meta.get("sample", ""), read_arrays))
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
        with self._where_it_compiles(backend) as runner:
            artifact = runner.compile(backend, model, settings, data, into)
            if get_backend(backend).runs_here(settings.target):
                opened = runner.open(backend, artifact.path, settings.batch, self.deployment.threads)
                return artifact, opened, runner.infer(sample) if settings.check else {}
        # Not within the turn here, which would keep who measures on this machine waiting for the device.
        return artifact, *self._on_device(backend, artifact, settings, sample)

    def make(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        data: dict[str, Array],
        into: Path,
    ) -> Path:
        """The file that this backend and others compile from."""
        with self._where_it_compiles(backend) as runner:
            return runner.make(backend, model, settings, data, into)

    @contextmanager
    def _where_it_compiles(self, backend: str) -> Iterator[RunnerClient]:
        """The backend's compiler, with the lease of a device on which it compiles; it ends with a failure."""
        self.left.close()
        there, runner = get_backend(backend).compiles_on_device, self._compiler(backend)
        with self.lease.held_elsewhere() if there else self.lease.at_work:
            try:
                yield runner
            except BaseException:
                self._compilers.pop(backend).close()
                raise

    def infer_here(
        self, compiled: Entry, backend: str, data: Mapping[str, Array], batch: int
    ) -> dict[str, Array]:
        """What an artifact for that batch, which runs on this machine, gives here for all samples."""
        with self._where_it_compiles(backend) as runner:
            path = compiled.file(compiled.meta["file"])
            runner.open(backend, path, batch, self.deployment.threads)
            return runner.infer(data)

    def _on_device(
        self, backend: str, artifact: Artifact, settings: CompileSettings, sample: dict[str, Array]
    ) -> tuple[Opened, dict[str, Array]]:
        """What was compiled here for another processor has its signature and its outputs from the device."""
        with self.lease.held_elsewhere(), LeasedClient(self.lease, guard=self.guard) as runner:
            opened = runner.open(backend, artifact.path, settings.batch, self.deployment.threads)
            return opened, runner.infer(sample) if settings.check else {}

    def _compiler(self, backend: str) -> RunnerClient:
        if backend not in self._compilers:
            there, guard = get_backend(backend).compiles_on_device, self.guard
            self._compilers[backend] = (
                LeasedClient(self.lease, guard=guard) if there else RunnerClient(LocalLaunch(), guard=guard)
            )
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

    @property
    def reference_backend(self) -> tuple[str, ...]:
        """Its backend alone, nothing where none was named yet."""
        return self._reference[1:] if self._reference else ()

    def set_reference(self, compiled: Entry, backend: str) -> None:
        """Name the artifact that every measurement is interleaved with. It stays loaded in runners, and
        `pace` tells what it takes here."""
        self.close_reference()
        self._reference, self._reference_most = (compiled, backend), None
        with self.lease.held_elsewhere():
            self._open_reference(1)

    def against_reference(self, subjects: Mapping[str, RunnerClient], plan: LatencyPlan) -> Rounds:
        """Measure; a reference of which a process died in the middle is opened again once."""
        try:
            runners, warm = self.reference_runners(plan.processes), self._reference_warm
            found = self._rounds(subjects, runners, plan, warm=warm)
        except StageError as error:
            if error.device and error.outside:
                raise  # its line was lost: all others may be, too
            self.close_reference()
            found = self._rounds(subjects, self.reference_runners(plan.processes), plan)
        self._reference_warm = True
        refuse_cut_short(found)
        return found

    def against_itself(self, plan: LatencyPlan) -> Rounds:
        """Measure the reference's processes against each other."""
        runners = self.reference_runners(plan.processes)
        found = self._rounds({f"process {i}": one for i, one in enumerate(runners)}, None, plan)
        if found.failed:
            broken = next((one.ended for one in runners if one.ended), None)
            self.close_reference()
            raise broken or StageError(*next(iter(found.failed.values())))
        self._reference_warm = True
        refuse_cut_short(found)
        return found

    def timed(self, subjects: Mapping[str, Subject], reference: Subject | None, plan: LatencyPlan) -> Rounds:
        """The rounds, with how the device was meanwhile.

        Raises:
            StageError: the reference failed, or a quota cut the rounds short.
        """
        found = self._rounds(subjects, reference, plan)
        refuse_cut_short(found)
        return found

    def _rounds(
        self,
        subjects: Mapping[str, Subject],
        reference: Subject | None,
        plan: LatencyPlan,
        *,
        warm: bool = False,
    ) -> Rounds:
        found = measure(subjects, reference, plan, self._ticks, self._watch, warm_reference=warm)
        return replace(found, beside=self.lease.beside)

    def reference_ms(self) -> float:
        """What a run of it takes at this moment, from a few samples."""
        runner = self.reference_runners(1)[0]
        loops, run_s = calibrate_loops(runner, 1.0), max(self.pace.run_s, 1e-6)
        taken = runner.sample(loops, max(3, min(_GLANCE, int(_GLANCE_S / (loops * run_s)))))
        return median(taken) / loops / 1e6

    def reference_runners(self, wanted: int) -> list[RunnerClient]:
        """Processes of the reference, which take turns: as many as are wanted, or as the device has memory
        for."""
        if any(client.ended for client in self._reference_clients):
            self.close_reference()
        self._open_reference(wanted)
        return self._reference_clients[:wanted]

    def _open_reference(self, wanted: int) -> None:
        clients = self._reference_clients
        while len(clients) < min(wanted, self._reference_most or wanted):
            if len(clients) == 1 and not self._several_fit(clients[0], wanted):
                self._reference_most = 1
                return
            began = time.monotonic()
            try:
                client, _, first_ms = self.opened(*self.reference)
                if not clients:
                    open_s, run_s = time.monotonic() - began, run_seconds(client, first_ms)
                    self.pace = replace(self.pace, run_s=run_s, open_s=open_s)
                clients.append(client)
            except StageError as error:
                if not clients or (error.device and error.outside):
                    raise
                self._reference_most = len(clients)  # perhaps memory that cannot be seen from here

    def _several_fit(self, first: RunnerClient, wanted: int) -> bool:
        size = self.reference[0].meta["artifact"]["size_bytes"]
        if self.launch.shares_files:
            return several_fit([size], wanted)
        # Half of a device is taken for free, and no more than it has left beside what others keep loaded.
        whole, free = int(first.hello().environment.get("memory_bytes") or 0), free_memory(first)
        known = [number for number in (whole // 2 or None, free) if number is not None]
        return not known or several_fit([size], wanted, min(known))

    def close_reference(self) -> None:
        """End its processes; the next measurement starts others."""
        while self._reference_clients:
            self._reference_clients.pop().close()
        self._reference_warm = False

    def abandon(self) -> None:
        """Drop every process on a device whose line was lost, without asking it to end."""
        for client in (*self._reference_clients, *self._compilers.values()):
            client.abandon()
        self.left.abandon()
        self.lease.abandon()
        self.close()

    def close(self) -> None:
        """End every process."""
        self.left.close()
        self.close_reference()
        while self._compilers:
            self._compilers.popitem()[1].close()
        self.lease.close()


def several_fit(sizes: Sequence[int], processes: int, free_bytes: int | None = None) -> bool:
    """Whether so many processes of each artifact take no more than half of the memory that is free.

    A loaded model was seen to take up to four times its file.
    """
    wanted = processes * sum(PROCESS_BYTES + 4 * size for size in sizes)
    return wanted < (psutil.virtual_memory().available if free_bytes is None else free_bytes) / 2
