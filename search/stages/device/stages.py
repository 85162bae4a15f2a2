"""Device stages: export, compile, measure, score. Each is answered from the store where it can be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ....backends.contract.backend import batches
from ....backends.contract.tuning import Tuning
from ....backends.measure.samples import LatencyPlan, Rounds
from ....backends.measure.spread import Spread
from ....backends.registry import backend_version, get_backend
from ....backends.runner.client import Pinned, RunnerClient
from ....backends.runner.leased import DeviceLease
from ....backends.runner.memory_told import memory_of
from ....profiles.errors import StageError
from ...record.candidate import Candidate
from ...record.digest import digest_of
from ...record.setting import Setting
from ...record.timing import Timing
from ...record.treatment import UNTREATED, Treatment
from ...store.manifest import MANIFEST
from ...store.store import Entry, Store
from ...workload.outputs import OutputChoice, only
from ...workload.workload import Array, Metric, Split
from .a_a import ROUNDS_FILE, AgainstItself
from .again import Again
from .agreement import Agreements
from .apart import Apart
from .arrays_file import save_arrays
from .calibration_samples import drawn
from .deployment import Deployment
from .effort import Effort, as_probe
from .file_size import compressed_bytes
from .interleaved import interleaved
from .interval import score
from .kept_outputs import save_kept
from .keys import compile_key, measure_key, score_key
from .line import Line
from .returned import returned
from .runners import Runners
from .sampled import SampleKeeper, Seen, unseen
from .settings import settings_of
from .shared import SharedMakers
from .tune import Tuner, model_of, tuned_as

CANDIDATE = "candidate"
_SAMPLE, _EXPECTED = "sample.npz", "expected.npz"
_OUR_FILES = (_SAMPLE, _EXPECTED, MANIFEST)


class DeviceStages:
    """Turns models into artifacts, and artifacts into numbers, in runner processes on the lease's device."""

    def __init__(
        self,
        *,
        store: Store,
        deployment: Deployment,
        lease: DeviceLease,
        line: Line,
        plan: LatencyPlan,
        announce: Callable[[str], None],
        pinned: Pinned = True,
        tuning: Tuning | None = None,
    ) -> None:
        self.store, self.deployment, self.plan, self.announce = store, deployment, plan, announce
        self.lease, self._runners = lease, Runners(deployment, lease, line.guard, pinned=pinned)
        self._again = Again(line, self._runners.abandon)
        self._a_a = AgainstItself(store, self._runners, announce, self._again)
        self.tuner = Tuner(store, deployment, lease, line.guard, announce, tuning, self._again)
        self._wanted, self.effort = plan, Effort()
        self.samples = SampleKeeper(store, self._runners, announce, self._again, lease.held_elsewhere)
        self._makers = SharedMakers(store, self._runners, announce)
        self.agreements = Agreements(store, self._runners, announce, self._again)
        self.apart = Apart(
            store=store,
            runners=self._runners,
            agreements=self.agreements,
            again=self._again,
            announce=announce,
        )

    # -- compile ----------------------------------------------------------------------------------

    def compiled(
        self,
        candidate: Candidate,
        source: Entry,
        calibration: tuple[Mapping[str, Array], str],
        check: bool = True,
        treatment: Treatment = UNTREATED,
        outputs: OutputChoice | None = None,
        tuned: Entry | None = None,
        setting: Setting | None = None,
    ) -> Entry:
        """Compile an exported model for a candidate, as the treatment changes it, to be run by the setting.

        `check` compares the artifact with the float model on the calibration data; it is left out for
        untrained weights, where agreement means nothing. `outputs` are the float model's, `tuned` what a
        tuning found for its structure. `meta` has
        "artifact" (see `contract.Artifact`) and, with `check`, "compressed_bytes": what zlib makes of the
        file at its highest level.
        """
        settings = settings_of(candidate, self.deployment, check, treatment, setting)
        taken = drawn(calibration[0], candidate, treatment)
        data = taken.data
        version = self._version(candidate)
        samples = (calibration[1], taken.count, taken.draw)
        key = compile_key(candidate.backend, version, settings, source.key, samples, tuned_as(tuned))
        model = model_of(source, tuned)
        sample = next(batches(data, settings.batch))

        def make(into: Path) -> Mapping[str, Any]:
            known = self._makers.with_made(candidate.backend, model, settings, data, (source.key, samples))
            self.announce("compile")
            artifact, opened, expected = self._runners.compile(
                candidate.backend, known, settings, data, sample, into
            )
            if artifact.path.name in _OUR_FILES:
                raise StageError(
                    "compile", f"the backend calls its file {artifact.path.name!r}: that is ours"
                )
            save_arrays(into / _SAMPLE, sample)
            if expected:
                returned(expected, outputs or only(opened.outputs[0].name), settings.batch, "compile")
                save_arrays(into / _EXPECTED, expected)
            described = {**asdict(artifact), "path": artifact.path.name, "precision": str(artifact.precision)}
            return {
                "file": artifact.path.name,
                "artifact": described,
                **({"compressed_bytes": compressed_bytes(artifact.path)} if check else {}),
                "inputs": [asdict(spec) for spec in opened.inputs],
                "outputs": [asdict(spec) for spec in opened.outputs],
                "sample": _SAMPLE,
                "expected": _EXPECTED if expected else "",
                "batch": settings.batch,
                "threads": self.deployment.threads,
            }

        return self.store.produce(
            "compile", key, {"candidate": candidate.title, "source": source.key}, self._again.sturdy(make)
        )

    def _version(self, candidate: Candidate) -> str:
        backend = candidate.backend
        there = f" on {self.deployment.device}" if get_backend(backend).compiles_on_device else ""
        return backend_version(backend, candidate.precision) + there

    # -- measure ----------------------------------------------------------------------------------

    def set_reference(self, compiled: Entry, candidate: Candidate) -> None:
        """Name the artifact that every measurement is interleaved with."""

        def loaded() -> None:
            self._runners.set_reference(compiled, candidate.backend)
            self.agreements.settled(compiled, candidate.backend, self._runners.reference_runners(1)[0])

        self._again.tried(loaded)
        self.plan = self.effort.of_reference(self._wanted, self._runners.pace)

    @property
    def reference(self) -> tuple[Entry, str]:
        """That artifact and its backend; InternalError before."""
        return self._runners.reference

    def reference_ms(self) -> float:
        """What a run of it takes at this moment, at a glance."""
        return self._runners.reference_ms()

    @property
    def spread(self) -> Spread | None:
        """What processes of the reference differ by here; None where that could not be seen."""
        return self._a_a.of_reference(self.plan).spread

    @property
    def timing(self) -> Timing | None:
        """How sharply latencies can be told apart on the device; None where nothing is timed."""
        timing = self._a_a.of_reference(self.plan).timing
        return replace(timing, shortened=self.effort.shortened)

    def measured(
        self,
        compiled: Entry,
        backend: str,
        *,
        probe: bool = False,
        brief: bool = False,
        leave_open: bool = False,
        setting: Setting | None = None,
    ) -> Entry:
        """Latency, load time, first inference and peak memory of an artifact on the device.

        A `probe` or `brief` look takes less (`as_probe`); `leave_open`: it stays loaded for its score.
        """
        how = setting or self.deployment.usual
        self.agreements.settled(compiled, backend, setting=how)
        plan = as_probe(self.plan, brief=brief) if probe or brief else self.plan
        reference, device = self._runners.reference_key, self.deployment.device
        device += self.deployment.computed_by(backend, *self._runners.reference_backend)
        key = measure_key(compiled.key, reference, device, how.batch, how.threads, plan, how.options)

        def make(into: Path) -> Mapping[str, Any]:
            self.announce("measure")
            with self.lease.held(), ExitStack() as stack:
                runner, opened, first_ms = self._runners.opened(compiled, backend, how)
                stack.enter_context(runner)
                memory = runner.memory()
                self.effort.before_measuring(runner, first_ms, plan)
                rounds = self._runners.against_reference({CANDIDATE: runner}, plan)
                if CANDIDATE in rounds.failed:
                    raise runner.ended or StageError(*rounds.failed[CANDIDATE])
                phases = memory_of(runner)
                if leave_open:
                    stack.pop_all()
                    self._runners.left.leave(compiled.key, how, runner, first_ms)
            (into / ROUNDS_FILE).write_text(json.dumps(rounds.to_json()))
            told = {"load_ms": opened.load_ms, "first_inference_ms": first_ms, "memory_bytes": memory}
            return {**told, **({"phases": asdict(phases)} if phases else {}), **self.deployment.named}

        return self.store.produce("measure", key, {"artifact": compiled.key}, self._again.sturdy(make))

    def interleaved(
        self,
        artifacts: Mapping[str, tuple[Entry, str]],
        plan: LatencyPlan,
        settings: Mapping[str, Setting] = MappingProxyType({}),
        said: str = "measure finalists",
        *,
        memory: bool = False,
    ) -> Rounds:
        """Measure several artifacts and the reference against each other in the same rounds, see
        `interleaved`; progress shows what is `said`."""
        self.announce(said)
        return interleaved(self._runners, self._again, artifacts, plan, settings, memory=memory)

    # -- score ------------------------------------------------------------------------------------

    def scored(
        self,
        compiled: Entry,
        backend: str,
        split: Split,
        split_digest: str,
        metric: Metric,
        choice: OutputChoice | None = None,
        setting: Setting | None = None,
        seen: Seen = unseen,
    ) -> Entry:
        """Quality of an artifact in its own runtime, as it is deployed, by the outputs of `choice` (None:
        there is only one). `kept_outputs` reads them. Where it runs now, `seen` is told its runner, and what
        it gave."""
        how = setting or self.deployment.usual
        choice = choice or only(compiled.meta["outputs"][0]["name"])
        named, instructions = (metric.name, metric.digest, *choice.digest), self.instructions_of(backend)
        key = score_key(compiled.key, split_digest, named, how.batch, instructions, how.options)

        def run(runner: RunnerClient, first_ms: float) -> dict[str, Array]:
            self.agreements.settled(compiled, backend, runner, how)
            self.effort.before_scoring(runner, first_ms, len(split), how.batch)
            outputs = runner.infer(dict(split.inputs))
            seen(runner, outputs)
            return outputs

        def make(into: Path) -> Mapping[str, Any]:
            self.announce("score")
            with self.lease.held_elsewhere():
                fresh = partial(self._runners.opened, compiled, backend, how)
                outputs = self._runners.left.asked(compiled.key, how, run, fresh)
            # One that was not compared with the float model is but a place to climb from.
            compared = bool(compiled.meta.get("expected"))
            outputs = returned(outputs, choice, len(split), "score", finite=compared)
            save_kept(into / "outputs.npz", outputs, choice)
            place, samples = f"artifact in its runtime, {backend}", digest_of((split_digest, metric.digest))
            scored = choice.for_metric(outputs)
            found = score(metric, scored, split.labels, place=place, samples=samples[:16])
            return {**asdict(found), "samples": len(split)}

        entry = self.store.produce("score", key, {"artifact": compiled.key}, self._again.sturdy(make))
        self._runners.left.close()  # no one else asks it, also where the score was known
        self.agreements.settled(compiled, backend, setting=how)  # one that was scored before it was compared
        return entry

    def instructions_of(self, backend: str) -> str:
        """What decides how the device computes."""
        return self.deployment.instructions + self.deployment.computed_by(backend)

    def close(self) -> None:
        """End every process."""
        self._runners.close()
