"""Why the next best is not the answer: the limit it misses, or the objective it loses, and by how much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.reports.content.runner_up import fleet_why_not_lines, gap_line, why_not_lines
from paretune.search.ranking.ask_again import of_device, read_limits_here, read_limits_on
from paretune.search.ranking.fleet import fleet_of
from paretune.search.ranking.reading import Reading, read
from paretune.search.ranking.runner_up import (
    Decided,
    MetricGap,
    Versus,
    WhyNot,
    fleet_runner_up,
    runner_up,
)
from paretune.search.record.arrays import Flags
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import (
    Evaluation,
    Finalist,
    Limit,
    Objective,
    Outcome,
    Quantity,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.samples import of_hits

FAST = Limit(text="latency <= 5 ms", metric="latency_ms", upper=True, bound=5.0)
ACCURACY = Objective(metric="accuracy", higher_is_better=True)
LATENCY = Objective(metric="latency_ms", higher_is_better=False)


def trial(number: int, accuracy: float, latency: float, right: Flags | None = None) -> TrialRecord:
    """`right`: which samples are, so that scores are paired."""
    hits = None if right is None else of_hits("these", right)
    metrics = {
        "accuracy": Quantity(value=accuracy, low=accuracy - 0.02, high=accuracy + 0.02, by_sample=hits),
        "latency_ms": Quantity(value=latency, low=latency * 0.98, high=latency * 1.02),
    }
    candidate = Candidate(backend="ort", precision=Precision.FP32, student=(("width", number + 1),))
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics)
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def reading(*trials: TrialRecord, limits: tuple[Limit, ...] = (), finalists: tuple[int, ...] = ()) -> Reading:
    record = StudyRecord(
        name="s",
        study_text="",
        workload="w",
        profile="host",
        quality="accuracy",
        objectives=(ACCURACY, LATENCY),
        limits=limits,
        trials=trials,
        stopped="the budget is used up",
        finalists=tuple(Finalist(number=n, metrics=trials[n].evaluation.metrics) for n in finalists),
    )
    return read(record)


def why(found: Reading) -> WhyNot:
    answer = runner_up(found)
    assert answer is not None
    assert why_not_lines(found.record, answer)
    return answer


def gap(found: WhyNot, metric: str) -> MetricGap:
    return next(one for one in found.gaps if one.metric == metric)


def test_a_limit_that_it_misses_is_named_with_the_miss() -> None:
    found = why(reading(trial(0, 0.9, 4.0), trial(1, 0.99, 6.0), limits=(FAST,)))
    assert (found.number, found.answer, found.decided) == (1, 0, Decided.LIMITS)
    assert [(one.limit, one.miss) for one in found.missed] == [(FAST, 1.0)]
    assert found.answer_missed == ()
    assert gap(found, "accuracy").standing is Versus.BETTER


def test_where_nothing_meets_the_limits_both_misses_are_told() -> None:
    found = why(reading(trial(0, 0.9, 6.0), trial(1, 0.9, 8.0), limits=(FAST,)))
    assert (found.decided, found.answer) == (Decided.LIMITS, 0)
    assert (found.missed[0].miss, found.answer_missed[0].miss) == (3.0, 1.0)


def test_one_that_another_beats() -> None:
    found = why(reading(trial(0, 0.9, 2.0), trial(1, 0.9, 4.0)))
    assert (found.decided, found.beaten_by) == (Decided.FRONT, (0,))
    lost = gap(found, "latency_ms")
    assert lost.change is not None
    assert (lost.standing, lost.by_factors, lost.change.value) == (Versus.WORSE, True, 2.0)
    assert lost.change.ends[0] > 1.9
    assert gap(found, "accuracy").standing is Versus.TIE


def test_one_on_the_front_is_farther_from_the_ideal() -> None:
    found = why(reading(trial(0, 0.9, 2.0), trial(1, 0.99, 40.0), trial(2, 0.98, 2.2)))
    assert found.decided is Decided.DISTANCE
    assert found.distances[0] > found.distances[1]


def test_a_tie_is_called_one() -> None:
    found = why(reading(trial(0, 0.9, 2.0), trial(1, 0.905, 2.01)))
    assert found.decided is Decided.TIE
    assert {one.standing for one in found.gaps} == {Versus.TIE}


def test_one_that_was_not_checked_stands_behind_finalists() -> None:
    found = why(reading(trial(0, 0.9, 2.0), trial(1, 0.99, 2.0), finalists=(0,)))
    assert (found.answer, found.decided) == (0, Decided.SPLIT)


def test_the_first_that_is_no_better_than_a_simple_choice() -> None:
    simple = trial(0, 0.9, 2.0)
    simple = replace(simple, evaluation=replace(simple.evaluation, baseline=True))
    found = why(reading(simple, trial(1, 0.905, 1.99)))
    assert (found.number, found.answer, found.decided) == (1, 0, Decided.SIMPLE)


def test_scores_on_the_same_samples_are_paired() -> None:
    right = np.arange(400) % 10 != 0
    worse = right & (np.arange(400) % 16 != 1)
    one, two = (trial(n, float(r.mean()), 2.0, r) for n, r in enumerate((right, worse)))
    found = gap(why(reading(one, two)), "accuracy")
    assert found.change is not None
    assert found.standing is Versus.WORSE  # though the intervals overlap
    assert found.change.high is not None
    assert found.change.high < 0
    assert "paired" in gap_line(found)


def test_what_only_a_limit_asks_for_is_told_but_is_no_objective() -> None:
    small = Limit(text="memory <= 9 MB", metric="memory_bytes", upper=True, bound=9e6)
    found = gap(why(reading(trial(0, 0.9, 2.0), trial(1, 0.9, 4.0), limits=(small,))), "memory_bytes")
    assert (found.standing, found.objective, found.change) == (Versus.UNKNOWN, False, None)


def test_without_a_second_there_is_nothing_to_explain() -> None:
    assert runner_up(reading(trial(0, 0.9, 2.0))) is None
    assert runner_up(reading()) is None


@pytest.mark.parametrize(
    ("fast", "slow", "decided"),
    [
        ((trial(0, 0.9, 4.0), trial(1, 0.9, 6.0)), (trial(0, 0.9, 4.0), trial(1, 0.9, 4.0)), Decided.LIMITS),
        ((trial(0, 0.9, 2.0), trial(1, 0.9, 4.0)), (trial(0, 0.9, 2.0), trial(1, 0.9, 2.0)), Decided.REGRET),
        ((trial(0, 0.9, 2.0), trial(1, 0.9, 2.0)), (trial(0, 0.9, 2.0), trial(1, 0.9, 2.0)), Decided.TIE),
    ],
)
def test_a_fleet_says_what_decided_and_how_it_is_on_each_device(
    fast: tuple[TrialRecord, ...], slow: tuple[TrialRecord, ...], decided: Decided
) -> None:
    fleet = fleet_of({"pi": reading(*fast, limits=(FAST,)), "host": reading(*slow, limits=(FAST,))})
    found = fleet_runner_up(fleet)
    assert found is not None
    assert (found.decided, set(found.on)) == (decided, {"pi", "host"})
    assert bool(found.on["pi"].missed) == (decided is Decided.LIMITS)
    assert len(fleet_why_not_lines(found, "it")) == 1 + 2 * 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("pi: latency <= 5 ms", ("pi", "latency <= 5 ms")),
        (" profiles/my pi.yaml :latency<5 ms", ("profiles/my pi.yaml", "latency<5 ms")),
        ("C:\\pi.yaml: latency < 5 ms", ("C:\\pi.yaml", "latency < 5 ms")),
        ("latency <= 5 ms", ("", "latency <= 5 ms")),
        ("latency <= 5: ms", ("", "latency <= 5: ms")),
        ("pi:", ("", "pi:")),
        (" : latency <= 5 ms", ("", " : latency <= 5 ms")),  # which is then refused
    ],
)
def test_a_limit_may_be_for_one_device(text: str, parts: tuple[str, str]) -> None:
    assert of_device(text) == parts


def test_a_devices_own_limit_goes_before_that_for_all() -> None:
    record = reading(trial(0, 0.9, 2.0)).record
    found = read_limits_on(record, ["latency <= 9 ms", "accuracy >= 80 %"], ["latency <= 3 ms"])
    assert {limit.metric: limit.bound for limit in found} == {"accuracy": 0.8, "latency_ms": 3.0}
    assert read_limits_here(record, ["host: latency <= 3 ms"])[0].bound == 3.0
    with pytest.raises(UserError, match="another device"):
        read_limits_here(record, ["pi: latency <= 3 ms"])
