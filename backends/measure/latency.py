"""The latency protocol: who is run when. Knows no backend, only things that can be sampled.

All subjects and a fixed reference run in short blocks, in a new random order in every round, so that whatever
slows the machine down slows all of them. `samples.py` has the raw values, `summary.py` says what they
mean, docs/measurement.md says why it is done so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ...profiles.errors import StageError
from ..watch.state import State
from .environment import steal_share
from .samples import REFERENCE, Block, LatencyPlan, Rounds, Series, WarmUp
from .summary import sure_within

_SINGLES = 27  # in 25 rounds that is 675: enough for a p99
_LARGEST_LOOPS = 1_000_000
_LOOK_EVERY = 4
"""Rounds between two looks at whether enough is known: each look is one more chance to stop on luck."""


class Sampler(Protocol):
    """Something that can be timed, usually a `RunnerClient` with an opened artifact and a stored feed."""

    def sample(self, loops: int, count: int) -> list[int]:
        """Nanoseconds of `count` samples; each is the time of `loops` runs together."""


Watch = Callable[[bool], State | None]
"""The state of the device that is measured, thoroughly or at a glance; None where it cannot be asked."""

Subject = Sampler | Sequence[Sampler]
"""One process, or several processes of one artifact that take turns from round to round."""


class _Looks:
    """The device as it was seen, between blocks alone."""

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch
        self.seen: list[tuple[int, State]] = []

    def after(self, rounds: int, *, thorough: bool = False) -> None:
        """Look, so many rounds being done."""
        if self._watch is not None and (state := self._watch(thorough)) is not None:
            self.seen.append((rounds, state))


def calibrate_loops(sampler: Sampler, min_sample_ms: float) -> int:
    """Number of runs that together take at least `min_sample_ms` even when the machine is at its quickest."""
    wanted, loops = min_sample_ms * 1e6, 1
    while loops < _LARGEST_LOOPS:
        took = max(1, min(sampler.sample(loops, 3)))
        if took >= wanted:
            return loops
        # A small margin ends this in two or three steps; at most tenfold, as first runs are slow.
        loops = min(_LARGEST_LOOPS, 10 * loops, max(loops + 1, math.ceil(1.02 * loops * wanted / took)))
    return loops


def warm_up(sampler: Sampler, loops: int, count: int, plan: LatencyPlan, *, warm: bool = False) -> WarmUp:
    """Run blocks of `count` samples until their medians agree; see `LatencyPlan`.

    What is `warm` already (it ran in the same process a moment ago) runs the fewest samples, no more.
    """
    spent, before = 0.0, math.inf
    count = plan.min_samples if warm else count
    while True:
        samples = sampler.sample(loops, count)
        spent += sum(samples) / 1e9
        median = sorted(samples)[len(samples) // 2]
        settled = warm or abs(median - before) <= plan.settled_share * median
        if (settled and (warm or spent >= plan.warm_up_s)) or spent >= plan.warm_up_limit_s:
            return WarmUp(seconds=spent, settled=settled)
        before = median


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A subject with what a block of it consists of.

    Before its block a process that has rested while others took turns runs `rested` samples that count for
    nothing: its threads sleep and its memory is cold, which a process that runs in every round never is.
    """

    processes: Sequence[Sampler]
    loops: int
    count: int
    singles: int
    rested: int
    warm_up: WarmUp

    def block(self, number: int) -> Block:
        process = number % len(self.processes)
        sampler = self.processes[process]
        if self.rested:
            sampler.sample(self.loops, self.rested)
        samples = tuple(sampler.sample(self.loops, self.count))
        singles = tuple(sampler.sample(1, self.singles)) if self.singles else ()
        return Block(process=process, samples=samples, singles=singles)


def _ready(
    subject: Subject, plan: LatencyPlan, *, warm: bool = False, percentiles: bool = True
) -> tuple[_Ready, float]:
    """The subject warmed up, and the seconds that a block of it takes. Single runs tell its `percentiles`."""
    processes = list(subject) if isinstance(subject, Sequence) else [subject]
    loops = calibrate_loops(processes[0], plan.min_sample_ms)
    sample_ms = min(processes[0].sample(loops, 3)) / 1e6
    count = max(plan.min_samples, round(plan.block_ms / max(sample_ms, 1e-6)))
    # Where a sample is one run, the samples themselves give the percentiles.
    run_ms = sample_ms / loops
    none = loops == 1 or not percentiles
    singles = 0 if none else min(_SINGLES, max(1, int(plan.block_ms / 2 / max(run_ms, 1e-6))))
    warmed = [warm_up(processes[0], loops, count, plan, warm=warm)]
    # The least time is for the machine: the first process has woken it up for the others.
    awake = replace(plan, warm_up_s=0.0)
    warmed += [warm_up(process, loops, count, awake, warm=warm) for process in processes[1:]]
    spent = WarmUp(seconds=sum(w.seconds for w in warmed), settled=all(w.settled for w in warmed))
    rested = plan.min_samples if len(processes) > 1 and count > plan.min_samples else 0
    ready = _Ready(
        processes=processes, loops=loops, count=count, singles=singles, rested=rested, warm_up=spent
    )
    return ready, ((count + rested) * sample_ms + singles * run_ms) / 1e3


def _rounds_that_fit(plan: LatencyPlan, round_s: float, processes: int) -> int:
    rounds = min(plan.rounds, max(plan.min_rounds, int(plan.limit_s / max(round_s, 1e-9))))
    return _round_up(rounds, processes)  # every process takes part equally often


def _round_up(number: int, step: int) -> int:
    return math.ceil(number / step) * step


def measure(
    subjects: Mapping[str, Subject],
    reference: Subject | None,
    plan: LatencyPlan | None = None,
    ticks: Callable[[], tuple[int, ...]] | None = None,
    watch: Watch | None = None,
    *,
    warm_reference: bool = False,
) -> Rounds:
    """Measure all subjects and the reference, interleaved at random.

    `warm_reference` says that the reference's processes have been measured before.

    `ticks` counts processor time on the machine that is measured (`environment.cpu_ticks` where that is this
    one), `watch` tells its state before, between and after the rounds. A subject whose `sample`
    raises StageError takes no further part and is found in `failed`.

    Raises:
        StageError: the reference failed.
        ValueError: there is no subject, one is called "reference", or the numbers of processes differ.
    """
    plan = plan or LatencyPlan()
    everyone = dict(subjects) if reference is None else {**subjects, REFERENCE: reference}
    _check(subjects, everyone)
    failed: dict[str, tuple[str, str, str]] = {}
    ready: dict[str, _Ready] = {}
    round_s = 0.0
    for name, subject in everyone.items():
        try:
            of_reference = name == REFERENCE
            warm = warm_reference and of_reference
            ready[name], block_s = _ready(subject, plan, warm=warm, percentiles=not of_reference)
            round_s += block_s
        except StageError as error:
            _note(failed, name, error)
    most = max((len(one.processes) for one in ready.values()), default=1)
    total = _rounds_that_fit(plan, round_s, most)
    looks = _Looks(watch)
    looks.after(0, thorough=True)
    before = ticks() if ticks else ()
    blocks, order = _run(ready, failed, total, plan, looks)
    stolen = steal_share(before, ticks()) if ticks else None
    looks.after(len(order), thorough=True)
    return Rounds(
        plan=plan,
        series={
            name: Series(
                loops=one.loops, processes=len(one.processes), warm_up=one.warm_up, blocks=tuple(blocks[name])
            )
            for name, one in ready.items()
            if name not in failed
        },
        order=tuple(order),
        steal_share=stolen,
        failed=failed,
        watched=tuple(looks.seen),
    )


def _run(
    ready: Mapping[str, _Ready],
    failed: dict[str, tuple[str, str, str]],
    total: int,
    plan: LatencyPlan,
    looks: _Looks,
) -> tuple[dict[str, list[Block]], list[tuple[str, ...]]]:
    rng, turn = random.Random(plan.seed), max((len(one.processes) for one in ready.values()), default=1)
    first_look, every = _round_up(plan.min_rounds, turn), _round_up(_LOOK_EVERY, turn)
    blocks: dict[str, list[Block]] = {name: [] for name in ready}
    order = []
    for number in range(total):
        names = [name for name in ready if name not in failed]
        rng.shuffle(names)
        for name in names:
            try:
                blocks[name].append(ready[name].block(number))
            except StageError as error:
                _note(failed, name, error)
        order.append(tuple(names))
        looks.after(number + 1)
        done = number + 1 - first_look
        if done >= 0 and done % every == 0 and _enough({n: blocks[n] for n in names}, failed, plan):
            break
    return blocks, order


def _enough(
    blocks: Mapping[str, list[Block]], failed: Mapping[str, tuple[str, str, str]], plan: LatencyPlan
) -> bool:
    """Whether further rounds would hardly tell more. Subjects of several processes get all their turns."""
    reference = blocks.get(REFERENCE)
    if not plan.enough_share or not reference:
        return False
    return all(
        not any(block.process for block in taken) and sure_within(taken, reference, plan.enough_share)
        for name, taken in blocks.items()
        if name not in (REFERENCE, *failed)
    )


def _note(failed: dict[str, tuple[str, str, str]], name: str, error: StageError) -> None:
    if name == REFERENCE:
        raise error
    failed[name] = (error.stage, error.cause, error.log)


def _check(subjects: Mapping[str, Subject], everyone: Mapping[str, Subject]) -> None:
    if not subjects or REFERENCE in subjects:
        raise ValueError(f"measure needs at least one subject, none of them called {REFERENCE!r}")
    numbers = {len(s) for s in everyone.values() if isinstance(s, Sequence)} - {1}
    if len(numbers) > 1 or 0 in numbers:
        raise ValueError(f"subjects have {sorted(numbers)} processes; all with several need the same number")
