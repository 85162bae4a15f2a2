"""Two ways to run one artifact on one device, in the same rounds: speed, memory, and the time to load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from ...backends.measure.environment import cpu_ticks
from ...backends.measure.latency import measure
from ...backends.measure.samples import REFERENCE, LatencyPlan, Rounds
from ...backends.measure.spread import FEWEST_PROCESSES, student, take_turns
from ...backends.measure.summary import compare, summarize
from ...backends.measure.watched import refuse_cut_short
from ...backends.runner.client import RunnerClient
from ...profiles.errors import StageError, UnsupportedError
from ...profiles.quantity import Quantity
from ..checks.evidence import Evidence, Question, skipped, tested, unpaired
from ..checks.tolerances import Tolerances
from ..record.checks import CheckOutcome, MetricCheck, Scale
from ..stages.device.runners import several_fit
from .kept import KeptArtifact
from .runtimes import Openings, RuntimePlace

BEFORE, AFTER = "before", "after"
LATENCY, MEMORY, LOAD, RATIO = "latency_ms", "memory_bytes", "load_ms", "latency_ratio"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One of the two: an artifact, opened in a place."""

    place: RuntimePlace
    artifact: KeptArtifact


def costs(
    subject: str, openings: Openings, before: Way, after: Way, plan: LatencyPlan, tolerances: Tolerances
) -> list[Evidence]:
    """What speaks for higher costs than before. Both are loaded in several processes by turns, so that the
    intervals cover what processes differ by."""
    sizes = [way.artifact.file.stat().st_size for way in (before, after)]
    processes = plan.processes if several_fit(sizes, plan.processes) else 1
    try:
        with openings.lease.held(), ExitStack() as stack:
            opened = _opened(openings, before, after, processes, stack)
            rounds = measure(
                {name: [one for one, _ in those] for name, those in opened.items()}, None, plan, cpu_ticks
            )
            refuse_cut_short(rounds)
            memory = {name: [one.memory() for one, _ in those] for name, those in opened.items()}
    except (StageError, UnsupportedError) as error:
        why = error.cause if isinstance(error, StageError) else error.reason
        return [skipped(_question(subject, name, tolerances), why) for name in (LATENCY, MEMORY, LOAD)]
    loads = {name: [ms for _, ms in those] for name, those in opened.items()}
    return [
        _latency(_question(subject, LATENCY, tolerances), rounds, processes),
        _of_processes(_question(subject, MEMORY, tolerances), memory[BEFORE], memory[AFTER]),
        _of_processes(_question(subject, LOAD, tolerances), loads[BEFORE], loads[AFTER]),
    ]


def beside_reference(
    subject: str, openings: Openings, way: Way, reference: KeptArtifact | None, plan: LatencyPlan
) -> list[MetricCheck]:
    """What an artifact costs on another device, where nothing was promised; and against the study's reference
    there, where that runs: what was gained over it may be lost there."""
    everyone = {AFTER: way} | ({REFERENCE: replace(way, artifact=reference)} if reference else {})
    try:
        with openings.lease.held(), ExitStack() as stack:
            runners, loads = {}, {}
            for name, one in everyone.items():
                runners[name] = stack.enter_context(openings.client(one.place))
                loads[name] = openings.open(runners[name], one.artifact)
                runners[name].prepare(one.artifact.sample)
            standard = runners.pop(REFERENCE, None)
            rounds = measure(runners, standard, plan)
            memory = float(runners[AFTER].memory())
        found = summarize(rounds, AFTER)
    except (StageError, UnsupportedError) as error:
        why = error.cause if isinstance(error, StageError) else error.reason
        return [_noted(subject, LATENCY, outcome=CheckOutcome.SKIPPED, reason=why)]
    told = [_noted(subject, LATENCY, found.latency_ms)]
    if found.ratio is not None:
        told.append(_against_reference(subject, way.artifact, found.ratio))
    return [
        *told,
        _noted(subject, MEMORY, Quantity(value=memory)),
        _noted(subject, LOAD, Quantity(value=loads[AFTER])),
    ]


def _against_reference(subject: str, artifact: KeptArtifact, ratio: Quantity) -> MetricCheck:
    """Whether it is still faster than the uncompressed model, where it was."""
    was = artifact.evaluation.metrics.get(RATIO)
    lost = was is not None and was.ends[1] < 1 < ratio.ends[0]
    return replace(
        _noted(
            subject, RATIO, ratio, reason="it is no faster than the uncompressed model there" if lost else ""
        ),
        outcome=CheckOutcome.WARNING if lost else CheckOutcome.NOTED,
        expected=was,
    )


def _noted(
    subject: str,
    metric: str,
    found: Quantity | None = None,
    *,
    outcome: CheckOutcome = CheckOutcome.NOTED,
    reason: str = "",
) -> MetricCheck:
    return MetricCheck(subject=subject, metric=metric, outcome=outcome, found=found, reason=reason)


def _question(subject: str, metric: str, tolerances: Tolerances) -> Question:
    return Question(subject=subject, metric=metric, tolerance=tolerances.of(metric))


def _opened(
    openings: Openings, before: Way, after: Way, processes: int, stack: ExitStack
) -> dict[str, list[tuple[RunnerClient, float]]]:
    found: dict[str, list[tuple[RunnerClient, float]]] = {BEFORE: [], AFTER: []}
    for turn in range(processes):
        order = ((BEFORE, before), (AFTER, after))
        for name, way in order if turn % 2 == 0 else order[::-1]:  # whoever opens first finds colder files
            runner = stack.enter_context(openings.client(way.place))
            load_ms = openings.open(runner, way.artifact)
            runner.prepare(way.artifact.sample)
            found[name].append((runner, load_ms))
    return found


def _latency(question: Question, rounds: Rounds, processes: int) -> Evidence:
    """The ratio in the same rounds. Where a side broke in them, there is none."""
    for name in (AFTER, BEFORE):
        if name in rounds.failed:
            return skipped(question, f"it broke while it was measured: {rounds.failed[name][1]}")
    was, now = (summarize(rounds, name).latency_ms for name in (BEFORE, AFTER))
    ratio = compare(rounds, AFTER, BEFORE)
    spread = _process_spread(rounds)
    several = "1 process" if processes == 1 else f"{processes} processes"
    differ = "" if spread is None else f", which differ by {100 * spread:.2g} %"
    said = f"{len(rounds.order)} interleaved rounds, {several} each{differ}"
    evidence = Evidence(
        question=question,
        scale=Scale.RATIO,
        loss=math.log(ratio.value),
        margin=question.margin(was, Scale.RATIO),
        error=_error_of(ratio, processes),
        degrees=float(processes - 1) if processes >= FEWEST_PROCESSES else math.inf,
        expected=was,
        found=now,
        reason=said,
    )
    return tested(evidence)


def _error_of(ratio: Quantity, processes: int) -> float:
    """The standard error of its logarithm, from its interval."""
    low, high = ratio.ends
    if not high > low > 0:
        return 0.0
    return math.log(high / low) / 2 / student(processes)


def _process_spread(rounds: Rounds) -> float | None:
    """What processes of one side differ by, the larger of both; None where there are too few."""
    found = []
    for series in rounds.series.values():
        if series.processes >= FEWEST_PROCESSES:
            quickest = [max(1, min(block.samples)) / series.loops for block in series.blocks]
            centres = take_turns(np.log(np.asarray(quickest)), series.processes).centres
            found.append(float(centres.std(ddof=1)))
    return max(found, default=None)


def _of_processes(question: Question, was: Sequence[float], now: Sequence[float]) -> Evidence:
    """Each process told one value: their means with Student's intervals, compared by Welch."""
    if min(*was, *now) <= 0:
        return skipped(question, "processes tell nothing of it here")
    degrees = float(len(was) - 1) if len(was) > 1 else math.inf
    said = f"mean of {len(was)} processes each" if len(was) > 1 else ""
    evidence = unpaired(question, _mean(was), _mean(now), degrees=degrees, reason=said)
    few = len(was) < FEWEST_PROCESSES
    return evidence.open("too few processes were measured, or have room in memory") if few else evidence


def _mean(values: Sequence[float]) -> Quantity:
    """Of logarithms: these are costs."""
    logs = np.log(np.asarray(values, dtype=float))
    middle = float(logs.mean())
    if len(logs) < FEWEST_PROCESSES:
        return Quantity(value=math.exp(middle))
    half = student(len(logs)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return Quantity(value=math.exp(middle), low=math.exp(middle - half), high=math.exp(middle + half))
