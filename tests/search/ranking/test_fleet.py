"""One configuration for several devices: the least regret, against a search through all of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paretune.profiles.precision import Precision
from paretune.search.ranking.fleet import Fleet, fleet_of, regrets_of
from paretune.search.ranking.losses import faster
from paretune.search.ranking.reading import Reading, read
from paretune.search.record.candidate import Candidate, Recipe
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
from paretune.search.record.treatment import Treatment

FAST = Limit(text="latency <= 5 ms", metric="latency_ms", upper=True, bound=5.0)
OBJECTIVES = (
    Objective(metric="accuracy", higher_is_better=True),
    Objective(metric="latency_ms", higher_is_better=False),
    Objective(metric="size_bytes", higher_is_better=False),
)
BACKENDS = ("ort", "tflite")

Row = tuple[float, float, float] | str | None
"""Accuracy, latency and size; or how it ended; None where it was not tried."""


def model(number: int) -> Candidate:
    """Every model on either of two backends."""
    width = 4 * (number // 2 + 1)
    return Candidate(
        backend=BACKENDS[number % 2],
        precision=Precision.FP32,
        student=(("width", width),),
        recipe=Recipe(epochs=3),
    )


def trial(number: int, candidate: Candidate, row: Row) -> TrialRecord:
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.FAILED, stage="measure", cause="crash")
    if isinstance(row, tuple):
        accuracy, latency, size = row
        metrics = {
            "accuracy": Quantity(value=accuracy, low=accuracy - 0.004, high=accuracy + 0.004),
            "latency_ms": Quantity(value=latency, low=latency * 0.98, high=latency * 1.02),
            "size_bytes": Quantity(value=size),
        }
        missed = {FAST.text: latency - FAST.bound}
        evaluation = Evaluation(
            candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, violations=missed
        )
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def reading(rows: list[Row], profile: str = "host", finalists: tuple[int, ...] = ()) -> Reading:
    trials = tuple(trial(n, model(n), row) for n, row in enumerate(rows) if row is not None)
    record = StudyRecord(
        name=profile,
        study_text="",
        workload="digits.py",
        profile=profile,
        quality="accuracy",
        objectives=OBJECTIVES,
        limits=(FAST,),
        trials=trials,
        stopped="the budget of 9 trials is used up",
        finalists=tuple(Finalist(number=n, metrics=dict(one_of(trials, n))) for n in finalists),
    )
    return read(record)


def one_of(trials: tuple[TrialRecord, ...], number: int) -> dict[str, Quantity]:
    metrics = next(t.evaluation.metrics for t in trials if t.number == number)
    return {name: metrics[name] for name in ("accuracy", "latency_ms")}


def numbers_on(fleet: Fleet) -> dict[str, int]:
    assert fleet.best is not None
    return {device: place.trial.number for device, place in fleet.best.places.items()}


ROWS = st.one_of(
    st.none(),
    st.just("failed"),
    st.tuples(
        st.sampled_from([0.9, 0.93, 0.95, 0.97]),
        st.sampled_from([1.0, 1.5, 2.0, 4.0, 6.0, 9.0]),
        st.sampled_from([1e4, 4e4, 2e5]),
    ),
)
TABLES = st.integers(2, 3).flatmap(
    lambda devices: st.integers(1, 6).flatmap(
        lambda models: st.lists(
            st.lists(ROWS, min_size=models, max_size=models), min_size=devices, max_size=devices
        )
    )
)


@settings(max_examples=150, deadline=None)
@given(TABLES, st.lists(st.sampled_from([0.5, 1.0, 20.0]), min_size=3, max_size=3))
def test_no_configuration_that_is_within_the_limits_everywhere_has_less_regret(
    tables: list[list[Row]], shares: list[float]
) -> None:
    readings = {f"d{n}": reading(rows, f"d{n}") for n, rows in enumerate(tables)}
    weights = {device: shares[n] for n, device in enumerate(readings)}
    fleet = fleet_of(readings, weights)
    regrets = {device: regrets_of(one) for device, one in readings.items()}

    def cost(number: int) -> tuple[float, float]:
        of = [regrets[device][number] for device in readings]
        share = [weights[device] for device in readings]
        return max(of), sum(w * r for w, r in zip(share, of, strict=True)) / sum(share)

    everywhere = [n for n in range(len(tables[0])) if all(isinstance(rows[n], tuple) for rows in tables)]
    within = [n for n in everywhere if all(rows[n][1] <= FAST.bound for rows in tables)]  # type: ignore[index]
    if not everywhere:
        assert (fleet.best, fleet.exit_code) == (None, 3)
    elif not within:
        assert fleet.exit_code == 2
        assert fleet.best is not None
        least = min(sum(max(0.0, rows[n][1] - 5.0) for rows in tables) for n in everywhere)  # type: ignore[index]
        number = numbers_on(fleet)["d0"]
        assert sum(max(0.0, rows[number][1] - 5.0) for rows in tables) == pytest.approx(least)  # type: ignore[index]
    else:
        assert fleet.exit_code == 0
        assert fleet.best is not None
        assert (fleet.best.worst, fleet.best.mean) == pytest.approx(min(map(cost, within)))
        assert set(numbers_on(fleet).values()) <= set(within)


@settings(max_examples=60, deadline=None)
@given(TABLES)
def test_with_backends_of_their_own_no_choice_of_one_model_has_less_regret(tables: list[list[Row]]) -> None:
    readings = {f"d{n}": reading(rows, f"d{n}") for n, rows in enumerate(tables)}
    found = fleet_of(readings).by_model
    regrets = {device: regrets_of(one) for device, one in readings.items()}
    costs = []
    for first in range(0, len(tables[0]), 2):
        numbers = [n for n in (first, first + 1) if n < len(tables[0])]
        for chosen in product(numbers, repeat=len(tables)):
            rows = [tables[d][n] for d, n in enumerate(chosen)]
            if all(isinstance(row, tuple) and row[1] <= FAST.bound for row in rows):
                of = [regrets[f"d{d}"][n] for d, n in enumerate(chosen)]
                costs.append((max(of), sum(of) / len(of)))
    assert (found is None) == (not costs)
    if found is not None:
        assert (found.worst, found.mean) == pytest.approx(min(costs))


def test_regret_is_nothing_for_the_best_there_and_never_less() -> None:
    found = regrets_of(reading([(0.95, 1.0, 1e4), (0.95, 2.0, 1e4), (0.9, 4.0, 2e5), (0.97, 9.0, 1e4)]))
    best = reading([(0.95, 1.0, 1e4), (0.95, 2.0, 1e4), (0.9, 4.0, 2e5), (0.97, 9.0, 1e4)]).ranking.best
    assert best is not None
    assert found[best.number] == 0
    assert all(0 <= regret < inf for regret in found.values())
    assert found[1] < found[2]


def test_finalists_are_compared_by_what_was_confirmed() -> None:
    confirmed = reading([(0.95, 1.0, 1e4), (0.97, 2.0, 1e4), (0.99, 4.9, 1e4)], finalists=(0, 1, 2))
    slow = Quantity(value=4.0, low=3.9, high=4.1)
    worse = Finalist(number=1, metrics={**confirmed.record.finalists[1].metrics, "latency_ms": slow})
    finalists = (confirmed.record.finalists[0], worse, confirmed.record.finalists[2])
    again = read(replace(confirmed.record, finalists=finalists))
    assert regrets_of(again)[1] > regrets_of(confirmed)[1]


def test_one_that_was_repaired_otherwise_is_another_configuration() -> None:
    one, other = reading([(0.95, 1.0, 1e4)], "one"), reading([(0.95, 1.0, 1e4)], "other")
    changed = replace(
        other.record.trials[0],
        evaluation=replace(other.record.trials[0].evaluation, treatment=Treatment(calibration_draw=2)),
    )
    fleet = fleet_of({"one": one, "other": read(replace(other.record, trials=(changed,)))})
    assert (fleet.best, fleet.exit_code, len(fleet.partial)) == (None, 3, 2)


def test_one_that_was_not_tried_everywhere_is_a_rival_only_where_it_might_lose_less() -> None:
    one = reading([(0.95, 2.0, 1e4), (0.95, 1.0, 1e4), (0.9, 4.9, 2e5)], "one")
    other = reading([(0.95, 2.0, 1e4), None, None], "other")
    fleet = fleet_of({"one": one, "other": other})
    assert numbers_on(fleet) == {"one": 0, "other": 0}
    assert [place.trial.number for rival in fleet.rivals for place in rival.places.values()] == [1]


def test_shares_decide_between_those_whose_largest_regret_is_the_same() -> None:
    far: list[Row] = [(0.95, 1.0, 1e4), (0.95, 2.0, 1e4)]
    readings = {"a": reading(far, "a"), "b": reading(far[::-1], "b")}
    for many, number in (("a", 0), ("b", 1)):
        assert numbers_on(fleet_of(readings, {many: 100.0}))["a"] == number


def test_what_was_searched_of_one_is_not_held_against_what_was_confirmed_of_another() -> None:
    found = reading([(0.95, 1.0, 1e4), (0.95, 2.0, 1e4)], finalists=(0,))
    quick = Quantity(value=0.1, low=0.09, high=0.11)
    confirmed = Finalist(number=0, metrics={**found.record.finalists[0].metrics, "latency_ms": quick})
    record = replace(found.record, finalists=(confirmed,))
    one, other = (read(record).ranking.of(number) for number in (0, 1))
    assert one is not None
    assert other is not None
    ratio = faster(record, one, other)
    assert ratio is not None
    assert ratio.value == pytest.approx(2.0)
