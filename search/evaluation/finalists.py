"""The last step of a study: the best candidates on data the search never saw, timed against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf

from ...backends.measure.samples import LatencyPlan, Rounds
from ...backends.measure.spread import FEWEST_PROCESSES
from ...backends.measure.summary import compare, summarize
from ...backends.measure.watched import watched
from ...profiles.errors import StageError
from ..ranking.known import TEST, trial_of
from ..ranking.ranking import rank, strongest_simple_choice
from ..record.agreement import ComputesWronglyError
from ..record.deployed import Deployed
from ..record.evaluation import Finalist, Quantity, StudyRecord
from ..stages.chain import Chain
from ..stages.deployment.tries import Deployable, raced
from ..stages.device.quantities import latency_quantities
from ..stages.device.runners import several_fit
from .as_deployed import AsDeployed, as_searched, newly_missed, scored
from .calibration_draws import draw_effects
from .confirmed import Confirmation, Settled, contenders, proposed_sides, run_by
from .deployed import deployed
from .distillation_gain import distillation_gains
from .finalist_effort import FinalistPace, Thoroughness, effort_within
from .options_effort import Tries
from .sustained import kept_hot

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
    tries: Tries | None = None,
) -> tuple[Finalist, ...]:
    """Score each on `test` with its side effects; measure all of them interleaved in random order in the same
    rounds.

    One that fails now, in its runner or in the user's metric, says so and has no numbers: its earlier ones
    stand, unless the device computes wrongly from it by now. What explains their numbers is made while the
    study has `seconds_left`. With `tries` each is measured as it is best run, where that
    holds.
    """
    known: dict[int, AsDeployed] = {}
    failed: dict[int, Finalist] = {}
    for number in numbers:
        try:
            evaluation = trial_of(record, number).evaluation
            known[number] = scored(evaluation, as_searched(evaluation, chain), chain, effort.first)
        except StageError as error:
            failed[number] = _failed(number, error)
    if not known:
        return tuple(failed.values())
    if not chain.measures:
        estimated = replace(record, finalists=tuple(_untimed(known, record)))
        return (*_explained(estimated, chain, seconds_left), *failed.values())
    sides = proposed_sides(record, known, chain, tries, effort.first)
    try:
        plan = effort.plan if tries is None else _that_fits(effort.plan, contenders(sides))
        measured = raced(chain.device, contenders(sides), plan, "measure finalists", memory=True)
    except StageError as error:  # the reference broke, or all of them: latencies stay those of the search
        said = f"finalists were not measured again, their latencies are those of the search: {error.cause}"
        return (*(replace(one, shortened=said) for one in _untimed(known, record)), *failed.values())
    settled = Confirmation(record=record, rounds=measured, spread=chain.device.spread).settled(sides)
    failed |= {
        one.number: Finalist(number=one.number, metrics={}, failed=measured.failed[one.name][1])
        for one in settled
        if one.name in measured.failed
    }
    alive = tuple(one for one in settled if one.name not in measured.failed)
    alive, asked = _within_limits(alive, record, measured, chain)
    finalists, lacking = kept_hot(asked, alive, chain, seconds_left)
    said, seen = "; ".join(filter(None, (effort.shortened, lacking))), watched(measured)
    timed = replace(record, finalists=tuple(replace(one, shortened=said, watched=seen) for one in finalists))
    return (*_explained(timed, chain, seconds_left), *failed.values())


def _that_fits(plan: LatencyPlan, sides: Mapping[str, Deployable]) -> LatencyPlan:
    """With as few processes of each as still tell what they differ by, where memory has no room for more."""
    sizes = [one.compiled.meta["artifact"]["size_bytes"] for one in sides.values()]
    fewer = min(plan.processes, FEWEST_PROCESSES)
    fits = several_fit(sizes, plan.processes) or not several_fit(sizes, fewer)
    return plan if fits else replace(plan, processes=fewer)


def _within_limits(
    alive: tuple[Settled, ...], record: StudyRecord, measured: Rounds, chain: Chain
) -> tuple[tuple[Settled, ...], tuple[Finalist, ...]]:
    """The finalists with all that is asked of each. One that misses a limit by its options is run without
    them after all."""
    timed = tuple(_timed(one, alive, record, measured, chain) for one in alive)
    found = deployed(timed, alive, measured, chain)
    kept = tuple(_without_fault(one, finalist, record) for one, finalist in zip(alive, found, strict=True))
    return (kept, found) if kept == alive else _within_limits(kept, record, measured, chain)


def _without_fault(one: Settled, finalist: Finalist, record: StudyRecord) -> Settled:
    metrics = {name: q for name, q in finalist.metrics.items() if name != record.quality}
    why = newly_missed(record, metrics, trial_of(record, one.number).evaluation.metrics)
    return one.without_options(why) if why else one


def _untimed(known: Mapping[int, AsDeployed], record: StudyRecord) -> list[Finalist]:
    """Finalists whose latencies are those of the search."""
    return [_finalist(Settled(number=n, name=str(n), side=one), record, {}) for n, one in known.items()]


def _timed(
    one: Settled, everyone: Sequence[Settled], record: StudyRecord, measured: Rounds, chain: Chain
) -> Finalist:
    """A finalist with what the rounds tell of it, also against the strongest simple choice."""
    spread, baseline = chain.device.spread, strongest_simple_choice(record)
    found = latency_quantities(summarize(measured, one.name, spread))
    latency = run_by(found, one.side.contender, chain.device.deployment.usual)
    other = next((o for o in everyone if o.number == baseline), None)
    if other is None or other is one:
        return _finalist(one, record, latency)
    how = f"per-round latency ratio to trial {baseline}, {len(measured.order)} rounds"
    return _finalist(one, record, latency, replace(compare(measured, one.name, other.name, spread), how=how))


def effort_for(
    record: StudyRecord,
    numbers: Sequence[int],
    chain: Chain,
    rounds: int,
    seed: int,
    seconds: float,
) -> Thoroughness:
    """How thoroughly these trials can be checked in so many seconds, by what the search has found of them;
    the reference is scored and measured beside them. What an absent device would take is not waited for."""
    seconds = seconds if chain.measures else inf
    here, batch = chain.device.effort.pace, chain.device.deployment.batch
    found = [trial_of(record, number).evaluation.metrics["latency_ms"].value / 1e3 for number in numbers]
    pace = FinalistPace(runs_s=(*found, here.run_s), open_s=here.open_s, batch=batch, local=here.local)
    plan = LatencyPlan(rounds=rounds, seed=seed, processes=chain.device.plan.processes)
    return effort_within(seconds, pace, plan, len(chain.models.split(TEST)[0]))


def _finalist(
    one: Settled, record: StudyRecord, latency: Mapping[str, Quantity], ratio: Quantity | None = None
) -> Finalist:
    return Finalist(
        number=one.number,
        metrics={**one.side.hardware, record.quality: one.side.score, **latency},
        ratio_to_baseline=ratio,
        side_effects=dict(one.side.side_effects),
        deployed=Deployed(options=one.options),
        samples=one.side.samples,
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
