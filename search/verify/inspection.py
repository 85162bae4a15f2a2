"""Artifacts opened on a device and asked: what they give, what they take, and how fast they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeVar

from ...backends.measure.environment import cpu_ticks
from ...backends.measure.latency import measure
from ...backends.measure.samples import REFERENCE, LatencyPlan, Rounds
from ...backends.measure.watched import refuse_cut_short
from ...backends.runner.client import Guard, RunnerClient
from ...backends.runner.leased import DeviceLease, LeasedClient
from ...backends.runner.replies import Opened
from ...profiles.errors import StageError
from ...profiles.words import duration
from ..job.reached import Reached
from ..record.progress import Progress
from ..stages.device.again import Again
from ..stages.device.line import Line
from ..stages.device.memory_seen import memory_seen
from ..stages.device.runners import several_fit
from ..stages.device.watching import Watching
from .shipped import Array, Shipped

T = TypeVar("T")
PROCESSES_HERE, PROCESSES_THERE = 5, 3
"""Of each artifact that is timed: on another device each start takes long, and with fewer than three of them
it could not be seen what processes differ by."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Artifacts measured side by side: their rounds, and milliseconds to load by name, one for each
    process."""

    rounds: Rounds
    load_ms: Mapping[str, tuple[float, ...]]


class Inspection:
    """Opens artifacts in runners on a device that was `reached`, under its lease; one bad moment is tried
    again. `who` is what others are told who wait for the device."""

    def __init__(
        self,
        reached: Reached,
        *,
        who: str,
        guard: Guard | None = None,
        progress: Progress | None = None,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self.reached, self.guard, self.progress = reached, guard or Guard(), progress or Progress()
        self.lease = DeviceLease(
            reached.launch,
            guard=self.guard,
            study=who,
            tell=lambda text, seconds: self.progress.stage(f"{text}, for {duration(seconds)} now"),
            note=self.progress.note,
            meanwhile=checkpoint,
        )
        line = Line(launch=reached.launch, guard=self.guard, progress=self.progress, checkpoint=checkpoint)
        self._again = Again(line, self.lease.abandon)
        self._pinned = reached.looked.fastest.cores or True
        self._cores: tuple[int, ...] = ()

    def __enter__(self) -> Inspection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lease.close()

    @property
    def here(self) -> bool:
        """Whether the device is this machine."""
        return self.reached.launch.shares_files

    def outputs(self, one: Shipped, data: Mapping[str, Array]) -> dict[str, Array]:
        """What it gives for samples (axis 0), in a process of its own.

        Raises:
            StageError: it does not open or run; `outside` where the cause lies outside of it.
            UnsupportedError: the runtime does not take it, or what it is told.
            UserError: the device cannot be reached, or not any more.
        """

        def once() -> dict[str, Array]:
            with self.lease.held_elsewhere(), self._opened(one, data)[0] as runner:
                return runner.infer(one.fed(data))

        return self._again.tried(once)

    def timed(
        self, subjects: Mapping[str, Shipped], data: Mapping[str, Array], plan: LatencyPlan | None = None
    ) -> Timed:
        """Measure artifacts in the same rounds, each in several processes; one called `REFERENCE` is what the
        others are told against. They are asked for their memory, too.

        Raises:
            StageError, UnsupportedError, UserError: as `outputs`, and where a quota cut it short.
        """
        plan = plan or LatencyPlan()
        return self._again.tried(lambda: self._timed(subjects, data, plan))

    def _timed(self, subjects: Mapping[str, Shipped], data: Mapping[str, Array], plan: LatencyPlan) -> Timed:
        processes = self._processes([one.size_bytes for one in subjects.values()])
        load_ms: dict[str, tuple[float, ...]] = {}
        opened: dict[str, list[RunnerClient]] = {}
        with self.lease.held(), ExitStack() as stack:
            for name, one in subjects.items():
                found = [self._entered(stack, one, data) for _ in range(processes)]
                opened[name] = [runner for runner, _ in found]
                load_ms[name] = tuple(signature.load_ms for _, signature in found)
            rounds = self._rounds(opened, plan)
        return Timed(rounds=rounds, load_ms=load_ms)

    def _rounds(self, opened: Mapping[str, Sequence[RunnerClient]], plan: LatencyPlan) -> Rounds:
        everyone = [runner for runners in opened.values() for runner in runners]
        asked = None if self.here else lambda: everyone
        watch = Watching(asked, lambda: self._cores, self.reached.looked.state is not None)
        ticks = cpu_ticks if self.here else None
        subjects = {name: runners for name, runners in opened.items() if name != REFERENCE}
        found = measure(subjects, opened.get(REFERENCE), plan, ticks, watch)
        refuse_cut_short(found)
        for name, failed in found.failed.items():
            raise _ended(opened[name]) or StageError(*failed)
        return replace(found, memory=memory_seen(opened))

    def _processes(self, sizes: Sequence[int]) -> int:
        if not self.here:
            return PROCESSES_THERE
        return PROCESSES_HERE if several_fit(sizes, PROCESSES_HERE) else 1

    def _entered(
        self, stack: ExitStack, one: Shipped, data: Mapping[str, Array]
    ) -> tuple[RunnerClient, Opened]:
        opened = self._opened(one, data)
        stack.callback(opened[0].close)
        return opened

    def _opened(self, one: Shipped, data: Mapping[str, Array]) -> tuple[RunnerClient, Opened]:
        """A runner of its own with the artifact loaded, which has run once, and its signature."""
        how, runner = one.setting, LeasedClient(self.lease, guard=self.guard, pinned=self._pinned)
        try:
            opened = runner.open(one.backend, one.path, how.batch, how.threads, dict(how.options))
            self._cores = opened.cores
            runner.prepare(one.feed(data))
            return runner, opened
        except BaseException:
            runner.close()
            raise


def _ended(runners: Sequence[RunnerClient]) -> Exception | None:
    return next((runner.ended for runner in runners if runner.ended), None)
