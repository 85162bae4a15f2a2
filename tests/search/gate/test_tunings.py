"""Who is tuned: only what may reach the front, by what other runtimes and earlier tunings have."""

from __future__ import annotations

import pytest
from paretune.profiles.precision import Precision
from paretune.search.gate.gate import Gate
from paretune.search.gate.tunings import FOR_BETTER, PRACTICALLY, PRIOR, Tunings
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Limit, Objective, Outcome, Quantity, TrialRecord
from paretune.search.record.quality import QualityScale

SCALE = QualityScale.of("accuracy")
OBJECTIVES = tuple(
    Objective(metric=name, higher_is_better=name == "accuracy")
    for name in ("accuracy", "latency_ms", "size_bytes")
)
SLOW, QUICK = "slow", "quick"


def model(backend: str, width: float = 0.0, precision: str = "fp32") -> Candidate:
    student = (("width", width),) if width else ()
    return Candidate(
        backend=backend, precision=Precision(precision), student=student, recipe=Recipe(epochs=1)
    )


def trial(
    number: int, candidate: Candidate, accuracy: float, latency: float, size: float = 100.0, **more: float
) -> TrialRecord:
    values = {"accuracy": accuracy, "latency_ms": latency, "size_bytes": size, **more}
    metrics = {name: Quantity(value=value) for name, value in values.items()}
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics)
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def gate(*trials: TrialRecord, limits: tuple[Limit, ...] = (), others: bool = True) -> Gate:
    found = Gate(OBJECTIVES, SCALE, margin=0.01, tunings=Tunings(SCALE, [SLOW], others=others))
    found.judge_by(limits)
    for record in trials:
        found.learn(record)
    return found


TEACHER = trial(0, model(QUICK), 0.95, 4.0)
SMALL = trial(1, model(QUICK, 0.5), 0.90, 1.0, 30.0)
TUNED = {factor: trial(2, model(SLOW), 0.95, 4.0 * factor) for factor in (3.0, 1.4, 0.5)}


def test_a_model_that_no_other_runtime_has_run_is_not_tuned_unless_there_is_none():
    assert gate(TEACHER).before_tuning(model(SLOW, 0.5)) is not None
    assert gate(others=False).before_tuning(model(SLOW, 0.5)) is None
    integer = trial(1, model(QUICK, 0.5, "int8-dynamic"), 0.9, 0.5)
    assert gate(TEACHER, integer).before_tuning(model(SLOW, 0.5)) is not None


def test_before_any_tuning_it_may_be_twice_as_good():
    hoped = Tunings(SCALE, [SLOW])
    hoped.learn(TEACHER)
    found = hoped.hoped(model(SLOW))
    assert found.goodness == 0.95
    assert {name: q.value for name, q in found.metrics.items()} == {
        "latency_ms": 4.0 * PRIOR,
        "size_bytes": 100.0 * PRIOR,
    }
    assert gate(TEACHER).before_tuning(model(SLOW)) is None


@pytest.mark.parametrize(("factor", "tuned"), [(3.0, False), (1.4, True), (0.5, True)])
def test_what_earlier_tunings_came_to_decides(factor, tuned):
    assert (gate(TEACHER, SMALL, TUNED[factor]).before_tuning(model(SLOW, 0.5)) is None) == tuned


def test_earlier_tunings_give_times_room_and_sizes_hardly_any():
    hoped = Tunings(SCALE, [SLOW])
    for record in (TEACHER, SMALL, TUNED[3.0]):
        hoped.learn(record)
    found = {name: q.value for name, q in hoped.hoped(model(SLOW, 0.5)).metrics.items()}
    assert found["latency_ms"] == pytest.approx(1.0 * 3.0 / FOR_BETTER)
    assert found["size_bytes"] == pytest.approx(30.0 * PRACTICALLY)
    other = {name: q.value for name, q in hoped.hoped(model(SLOW, 0.5, "fp16")).metrics.items()}
    assert other["latency_ms"] == pytest.approx(1.0 * 3.0 * PRIOR)


def test_only_a_rival_that_is_as_good_stops_it():
    better = trial(3, model(QUICK, 0.7), 0.95, 1.0, 30.0)
    assert gate(TEACHER, TUNED[1.4], better).before_tuning(model(SLOW, 0.7)) is None
    quicker = trial(4, model(QUICK, 0.8), 0.95, 0.5, 10.0)
    stopped = gate(TEACHER, TUNED[1.4], better, quicker).before_tuning(model(SLOW, 0.7))
    assert "#4" in stopped.reason
    worse = trial(4, model(QUICK, 0.8), 0.94, 0.5, 10.0)
    assert gate(TEACHER, TUNED[1.4], better, worse).before_tuning(model(SLOW, 0.7)) is None


def test_limits_that_even_the_best_tuning_would_miss():
    quick = Limit(text="latency <= 1 ms", metric="latency_ms", upper=True, bound=1.0)
    assert gate(TEACHER, limits=(quick,)).before_tuning(model(SLOW)) is not None
    assert gate(TEACHER, SMALL, limits=(quick,)).before_tuning(model(SLOW, 0.5)) is None
    good = Limit(text="accuracy >= 94 %", metric="accuracy", upper=False, bound=0.94)
    assert gate(TEACHER, SMALL, limits=(good,)).before_tuning(model(SLOW, 0.5)) is not None
    near = Limit(text="accuracy >= 90.5 %", metric="accuracy", upper=False, bound=0.905)
    assert gate(TEACHER, SMALL, limits=(near,)).before_tuning(model(SLOW, 0.5)) is None


def test_numbers_that_are_missing_or_zero_stop_nothing():
    nothing = trial(1, model(QUICK, 0.5), 0.9, 0.0, 0.0)
    assert gate(TEACHER, nothing, TUNED[3.0]).before_tuning(model(SLOW, 0.5)) is None
    bare = trial(2, model(SLOW), 0.95, 0.0)
    assert gate(TEACHER, SMALL, bare).before_tuning(model(SLOW, 0.5)) is None
