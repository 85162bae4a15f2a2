"""The last step of a study: the best candidates on data the search never saw, timed against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from ...backends.measure.samples import LatencyPlan
from ...backends.measure.summary import compare, summarize
from ...backends.measure.watched import watched
from ...profiles.errors import StageError
from ..ranking.known import TEST, trial_of
from ..ranking.ranking import rank, strongest_simple_choice
from ..record.agreement import ComputesWronglyError
from ..record.evaluation import Evaluation, Finalist, Quantity, StudyRecord
from ..stages.chain import Chain, Trace
from ..stages.device.quantities import latency_quantities
from ..store.store import Entry
from .calibration_draws import draw_effects
from .deployed import deployed
from .distillation_gain import distillation_gains
from .finalist_effort import FinalistPace, Thoroughness, effort_within
from .side_effect_scores import side_effect_metrics

SecondsLeft = Callable[[], float]


def choose_finalists(record: StudyRecord, count: int) -> tuple[int, ...]:
    """Trial numbers: the best ranked (feasible and on the front first), and the strongest simple choice."""
    best = [entry.number for entry in rank(record).entries if entry.on_front or entry.feasible][:count]
    baseline = strongest_simple_choice(record)
    extra = [baseline] if baseline is not None and baseline not in best else []
    return (*best, *extra)


def measure_finalists(
    record: StudyRecord,
    numbers: tuple[int, ...],
    chain: Chain,
    effort: Thoroughness,
    seconds_left: SecondsLeft = lambda: inf,
) -> tuple[Finalist, ...]:
    """Score each on `test` with its side effects; measure all of them interleaved in random order in the same
    rounds.

    One that fails now, in its runner or in the user's metric, says so and has no numbers: its earlier ones
    stand, unless the device computes wrongly from it by now. What explains their numbers is made while the
    study has `seconds_left`.
    """
    scored: dict[int, _Scored] = {}
    failed: dict[int, Finalist] = {}
    for number in numbers:
        try:
            scored[number] = _scored(trial_of(record, number).evaluation, chain, effort.first)
        except StageError as error:
            failed[number] = _failed(number, error)
    if not scored:
        return tuple(failed.values())
    try:
        artifacts = {str(number): one.artifact for number, one in scored.items()}
        measured = chain.device.interleaved(artifacts, effort.plan, memory=True)
    except StageError as error:  # the reference broke, or all of them: latencies stay those of the search
        said = f"finalists were not measured again, their latencies are those of the search: {error.cause}"
        untimed = [_finalist(n, one, record, {}) for n, one in scored.items()]
        return (*(replace(one, shortened=said) for one in untimed), *failed.values())
    baseline = strongest_simple_choice(record)
    finalists = []
    for number, one in scored.items():
        if str(number) in measured.failed:
            failed[number] = Finalist(number=number, metrics={}, failed=measured.failed[str(number)][1])
            continue
        latency = latency_quantities(summarize(measured, str(number), chain.device.spread))
        ratio = None
        if baseline is not None and str(baseline) in measured.series and number != baseline:
            how = f"per-round latency ratio to trial {baseline}, {len(measured.order)} rounds"
            ratio = replace(compare(measured, str(number), str(baseline), chain.device.spread), how=how)
        finalists.append(_finalist(number, one, record, latency, ratio))
    finalists = list(deployed(tuple(finalists), artifacts, measured, chain))
    said, seen = effort.shortened, watched(measured)
    timed = replace(record, finalists=tuple(replace(one, shortened=said, watched=seen) for one in finalists))
    return (*_explained(timed, chain, seconds_left), *failed.values())


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """What one of them is on `test`, and what is measured of it: its artifact and the backend."""

    score: Quantity
    side_effects: dict[str, Quantity]
    artifact: tuple[Entry, str]


def effort_for(
    record: StudyRecord,
    numbers: Sequence[int],
    chain: Chain,
    rounds: int,
    seed: int,
    seconds: float,
) -> Thoroughness:
    """How thoroughly these trials can be checked in so many seconds, by what the search has found of them;
    the reference is scored and measured beside them."""
    here, batch = chain.device.effort.pace, chain.device.deployment.batch
    found = [trial_of(record, number).evaluation.metrics["latency_ms"].value / 1e3 for number in numbers]
    pace = FinalistPace(runs_s=(*found, here.run_s), open_s=here.open_s, batch=batch, local=here.local)
    plan = LatencyPlan(rounds=rounds, seed=seed, processes=chain.device.plan.processes)
    return effort_within(seconds, pace, plan, len(chain.models.split(TEST)[0]))


def _scored(evaluation: Evaluation, chain: Chain, first: int) -> _Scored:
    compiled, backend = chain.artifact(evaluation), evaluation.candidate.backend
    return _Scored(
        score=chain.quality(evaluation.candidate, compiled, Trace(), split=TEST, first=first),
        side_effects=side_effect_metrics(chain.models, chain.device, compiled, backend, TEST, first=first),
        artifact=(compiled, backend),
    )


def _finalist(
    number: int,
    one: _Scored,
    record: StudyRecord,
    latency: dict[str, Quantity],
    ratio: Quantity | None = None,
) -> Finalist:
    return Finalist(
        number=number,
        metrics={record.quality: one.score, **latency},
        ratio_to_baseline=ratio,
        side_effects=one.side_effects,
    )


def _failed(number: int, error: StageError) -> Finalist:
    agreement = error.agreement if isinstance(error, ComputesWronglyError) else None
    return Finalist(number=number, metrics={}, failed=error.cause, agreement=agreement)


def _explained(record: StudyRecord, chain: Chain, seconds_left: SecondsLeft) -> tuple[Finalist, ...]:
    """The finalists, the best of them with what the teacher brought to their training, and what another draw
    of calibration samples would."""
    there = {finalist.number for finalist in record.finalists}
    best_first = [entry.number for entry in rank(record).entries if entry.number in there]
    gains = distillation_gains(record, best_first, chain.models, seconds_left())
    draws = draw_effects(record, best_first, chain, seconds_left=seconds_left)
    return tuple(
        replace(f, distillation_gain=gains.get(f.number), draw_effect=draws.get(f.number))
        for f in record.finalists
    )
