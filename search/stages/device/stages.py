"""Device stages: export, compile, measure, score. Each is answered from the store where it can be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ....backends.contract.backend import Artifact, CompileSettings, SourceModel, batches
from ....backends.measure.environment import cpu_ticks
from ....backends.measure.latency import REFERENCE, LatencyPlan, Rounds, measure
from ....backends.registry import backend_version, get_backend
from ....backends.runner.client import Guard, Opened, RunnerClient
from ....backends.runner.launch import Launch, LocalLaunch
from ....profiles.errors import InternalError, StageError
from ...record.candidate import Candidate
from ...record.treatment import UNTREATED, Treatment
from ...store.store import Entry, Store
from ...workload.workload import Array, Metric, Split
from .arrays import save_arrays
from .calibration_samples import drawn
from .compressed import compressed_bytes
from .interval import quality_interval
from .keys import compile_key, measure_key, score_key
from .rounds import ROUNDS_FILE

CANDIDATE = "candidate"
PROBE_ROUNDS, ROUNDS_OF_PERCENTILES = 9, 40
PROCESSES = 5  # of each finalist; docs/measurement.md has the figures
PROCESS_BYTES = 100_000_000  # what a runner needs beside the model, seen up to 80 MB


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How artifacts run: batch and threads, the device's identity, and what decides integer arithmetic.

    `device` names where latency was taken and enters only keys of measurements; `instructions` is the digest
    of the instruction set and enters keys of scores, since integer kernels differ by it. `target` is handed
    to compilers that build for one device.
    """

    batch: int
    threads: int
    device: str
    instructions: str
    target: str = ""


class DeviceStages:
    """Turns models into artifacts, and artifacts into numbers, in runner processes.

    `launch` starts runners on the device. Compiling happens on this machine, except for backends whose
    artifacts belong to the device that compiled them.
    """

    def __init__(
        self,
        *,
        store: Store,
        deployment: Deployment,
        launch: Launch,
        guard: Guard,
        plan: LatencyPlan,
        announce: Callable[[str], None],
    ) -> None:
        self.store, self.deployment, self.launch = store, deployment, launch
        self.guard, self.plan, self.announce = guard, plan, announce
        # One thread stays on one core; the last one, as the driver and the system prefer the first.
        affinity = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        pinned = deployment.threads == 1 and launch.shares_files and affinity
        self._cpu = affinity[-1] if pinned else None
        self._compilers: dict[str, RunnerClient] = {}
        self._reference: tuple[Entry, str] | None = None
        self._reference_client: RunnerClient | None = None
        self._reference_warm = False

    # -- compile ----------------------------------------------------------------------------------

    def compiled(
        self,
        candidate: Candidate,
        source: Entry,
        calibration: Mapping[str, Array],
        calibration_digest: str,
        check: bool = True,
        treatment: Treatment = UNTREATED,
    ) -> Entry:
        """Compile an exported model for a candidate, as the treatment changes it.

        `check` compares the artifact with the float model on the calibration data; it is left out for
        untrained weights, where agreement means nothing. `meta` has "artifact" (see `contract.Artifact`) and,
        with `check`, "compressed_bytes": what zlib makes of the file at its highest level.
        """
        settings = self._settings(candidate, check, treatment)
        taken = drawn(calibration, candidate, treatment)
        data = taken.data
        version = backend_version(candidate.backend)
        if get_backend(candidate.backend).compiles_on_device:
            version += f" on {self.deployment.device}"
        samples = (calibration_digest, taken.count, taken.draw)
        key = compile_key(candidate.backend, version, settings, source.key, samples)
        model = SourceModel(path=source.path / source.meta["file"], format=source.meta["format"])
        sample = next(batches(data, self.deployment.batch))

        def make(into: Path) -> Mapping[str, Any]:
            self.announce("compile")
            artifact, opened, expected = self._compile(candidate.backend, model, settings, data, sample, into)
            save_arrays(into / "sample.npz", sample)
            if expected:
                save_arrays(into / "expected.npz", expected)
            described = {**asdict(artifact), "path": artifact.path.name, "precision": str(artifact.precision)}
            return {
                "file": artifact.path.name,
                "artifact": described,
                **({"compressed_bytes": compressed_bytes(artifact.path)} if check else {}),
                "inputs": [asdict(spec) for spec in opened.inputs],
                "outputs": [asdict(spec) for spec in opened.outputs],
                "sample": "sample.npz",
                "expected": "expected.npz" if expected else "",
                "batch": settings.batch,
                "threads": self.deployment.threads,
            }

        return self.store.produce("compile", key, {"candidate": candidate.title, "source": source.key}, make)

    def _settings(self, candidate: Candidate, check: bool, treatment: Treatment) -> CompileSettings:
        return CompileSettings(
            precision=candidate.precision,
            batch=self.deployment.batch,
            calibration_method=treatment.calibration_method or candidate.calibration_method or "minmax",
            per_channel=candidate.per_channel,
            nm_sparsity=candidate.sparsity == "2:4",
            target=self.deployment.target,
            check=check,
            keep_float=treatment.keep_float,
        )

    def _compile(
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
            self._drop_compiler(backend)
            raise

    # -- measure ----------------------------------------------------------------------------------

    def set_reference(self, compiled: Entry, candidate: Candidate) -> None:
        """Name the artifact that every measurement is interleaved with. It stays loaded in a runner."""
        self._close_reference()
        self._reference = (compiled, candidate.backend)
        self._reference_runner()

    @property
    def reference(self) -> tuple[Entry, str]:
        """The artifact that was named as the reference, and its backend.

        Raises:
            InternalError: none was named yet.
        """
        if self._reference is None:
            raise InternalError("something is compared before the reference was set")
        return self._reference

    def _reference_runner(self) -> RunnerClient:
        if self._reference is None:
            raise InternalError("something is measured before the reference was set")
        if self._reference_client is None:
            self._reference_client = self._opened(*self._reference)[0]
        return self._reference_client

    def measured(self, compiled: Entry, backend: str, *, probe: bool = False) -> Entry:
        """Latency, load time, first inference and peak memory of an artifact on the device.

        A `probe` takes fewer rounds where no percentile needs many: what it gates by is far apart.
        """
        plan = self.plan
        if probe and plan.rounds < ROUNDS_OF_PERCENTILES:
            plan = replace(plan, rounds=min(plan.rounds, PROBE_ROUNDS))
        deployed, reference = self.deployment, self._reference[0].key if self._reference else ""
        key = measure_key(compiled.key, reference, deployed.device, deployed.batch, deployed.threads, plan)

        def make(into: Path) -> Mapping[str, Any]:
            self.announce("measure")
            runner, opened, first_ms = self._opened(compiled, backend)
            with runner:
                memory = runner.memory()
                rounds = self._against_reference({CANDIDATE: runner}, plan)
            if CANDIDATE in rounds.failed:
                raise StageError(*rounds.failed[CANDIDATE])
            (into / ROUNDS_FILE).write_text(json.dumps(rounds.to_json()))
            return {
                "load_ms": opened.load_ms,
                "first_inference_ms": first_ms,
                "memory_bytes": memory.growth_bytes,
            }

        return self.store.produce("measure", key, {"artifact": compiled.key}, make)

    def _against_reference(self, subjects: Mapping[str, RunnerClient], plan: LatencyPlan) -> Rounds:
        """Measure; a reference whose process died in the middle is opened again once."""
        ticks = cpu_ticks if self.launch.shares_files else None
        try:
            runner, warm = self._reference_runner(), self._reference_warm
            found = measure(subjects, runner, plan, ticks=ticks, warm_reference=warm)
        except StageError:
            self._close_reference()
            found = measure(subjects, self._reference_runner(), plan, ticks=ticks)
        self._reference_warm = True
        return found

    def interleaved(self, artifacts: Mapping[str, tuple[Entry, str]], plan: LatencyPlan) -> Rounds:
        """Measure several artifacts and the reference against each other in the same rounds.

        On this machine each is loaded in several processes, so that the interval covers how much processes
        of one artifact differ.
        """
        self.announce("measure finalists")
        if self._reference is None:
            raise InternalError("something is measured before the reference was set")
        everyone = {**artifacts, REFERENCE: self._reference}
        sizes = [entry.meta["artifact"]["size_bytes"] for entry, _ in everyone.values()]
        several = self.launch.shares_files and _fits_in_memory(sizes)
        self._close_reference()
        with ExitStack() as stack:
            subjects: dict[str, list[RunnerClient]] = {}
            for name, (compiled, backend) in everyone.items():
                for _ in range(PROCESSES if several else 1):
                    runner = stack.enter_context(self._opened(compiled, backend)[0])
                    subjects.setdefault(name, []).append(runner)
            reference = subjects.pop(REFERENCE)
            return measure(subjects, reference, plan, ticks=cpu_ticks if self.launch.shares_files else None)

    # -- score ------------------------------------------------------------------------------------

    def scored(self, compiled: Entry, backend: str, split: Split, split_digest: str, metric: Metric) -> Entry:
        """Quality of an artifact in its own runtime, at the deployed batch size."""
        deployed, named = self.deployment, (metric.name, metric.digest)
        key = score_key(compiled.key, split_digest, named, deployed.batch, deployed.instructions)

        def make(into: Path) -> Mapping[str, Any]:
            self.announce("score")
            runner, opened, _ = self._opened(compiled, backend)
            with runner:
                outputs = runner.infer(dict(split.inputs))
            first = outputs[opened.outputs[0].name]
            np.savez_compressed(into / "outputs.npz", outputs=first)
            value = float(metric.function(first, split.labels))
            if not isfinite(value):
                raise StageError("score", f"the metric {metric.name!r} gave {value} for these outputs")
            low, high = quality_interval(metric, first, split.labels)
            return {"value": value, "low": low, "high": high, "samples": len(split)}

        return self.store.produce("score", key, {"artifact": compiled.key}, make)

    # -- processes --------------------------------------------------------------------------------

    def _opened(self, compiled: Entry, backend: str) -> tuple[RunnerClient, Any, float]:
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

    def _compiler(self, backend: str) -> RunnerClient:
        if backend not in self._compilers:
            launch = self.launch if get_backend(backend).compiles_on_device else LocalLaunch()
            self._compilers[backend] = RunnerClient(launch, guard=self.guard)
        return self._compilers[backend]

    def _drop_compiler(self, backend: str) -> None:
        runner = self._compilers.pop(backend, None)
        if runner is not None:
            runner.close()

    def _close_reference(self) -> None:
        if self._reference_client is not None:
            self._reference_client.close()
            self._reference_client, self._reference_warm = None, False

    def close(self) -> None:
        """End every process."""
        self._close_reference()
        for backend in list(self._compilers):
            self._drop_compiler(backend)


def _fits_in_memory(sizes: Sequence[int]) -> bool:
    """Whether several processes of each artifact take no more than half of the memory that is free.

    A loaded model was seen to take up to four times its file.
    """
    wanted = PROCESSES * sum(PROCESS_BYTES + 4 * size for size in sizes)
    return wanted < psutil.virtual_memory().available / 2
