"""Ranking, the strongest simple choice, nearest misses and the verdict, on small made records."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.ranking.known import violation_scale
from paretune.search.ranking.misses import nearest_misses
from paretune.search.ranking.noise import chance_line
from paretune.search.ranking.ranking import rank, strongest_simple_choice, worth_it
from paretune.search.ranking.reading import read
from paretune.search.ranking.sentences import quantity_text, relaxation_text, size_words, speed_words
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

WORST = Limit(text="worst_class_drop <= 3 pt absolute", metric="worst_class_drop", upper=True, bound=0.03)
ACCURATE = Limit(text="accuracy >= 0.97", metric="accuracy", upper=False, bound=0.97)
FAST = Limit(text="latency <= 2 ms", metric="latency_ms", upper=True, bound=2.0)
SMALL = Limit(text="size <= 500 kB", metric="size_bytes", upper=True, bound=500e3)


def q(value: float, half: float = 0.0) -> Quantity:
    return Quantity(value=value, low=value - half, high=value + half)


def numbers(accuracy: float, latency: float, size: float) -> dict[str, Quantity]:
    return {
        "accuracy": q(accuracy, 0.004),
        "latency_ms": q(latency, 0.05),
        "size_bytes": Quantity(value=size),
    }


def complete(
    number: int, accuracy: float, latency: float, size: float, baseline: bool = False
) -> TrialRecord:
    student = () if baseline else (("width", number / 100),)
    candidate = Candidate(
        backend="ort",
        precision=Precision.INT8 if number % 2 else Precision.FP32,
        student=student,
        recipe=None if baseline else Recipe(epochs=3),
    )
    evaluation = Evaluation(
        candidate=candidate,
        outcome=Outcome.COMPLETE,
        metrics=numbers(accuracy, latency, size),
        baseline=baseline,
        artifact_key=f"{number:064x}",
    )
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def gated(number: int, latency: float, size: float) -> TrialRecord:
    trial = complete(number, 0.0, latency, size)
    gate = {"latency_ms": q(latency, 0.05), "size_bytes": Quantity(value=size)}
    evaluation = replace(
        trial.evaluation, outcome=Outcome.GATED, metrics={}, gate=gate, reason="latency over the limit"
    )
    return replace(trial, evaluation=evaluation)


def failed(number: int) -> TrialRecord:
    trial = complete(number, 0.0, 1.0, 1.0)
    evaluation = replace(
        trial.evaluation, outcome=Outcome.FAILED, metrics={}, stage="compile", cause="killed by signal 11"
    )
    return replace(trial, evaluation=evaluation)


def study(*trials: TrialRecord, limits: tuple[Limit, ...] = (ACCURATE, FAST), **more: object) -> StudyRecord:
    values: dict[str, object] = {
        "name": "s",
        "study_text": "",
        "workload": "digits.py",
        "profile": "host",
        "quality": "accuracy",
        "objectives": (
            Objective(metric="accuracy", higher_is_better=True),
            Objective(metric="latency_ms", higher_is_better=False),
            Objective(metric="size_bytes", higher_is_better=False),
        ),
        "limits": limits,
        "trials": trials,
        "stopped": "every candidate of the space was evaluated",
        **more,
    }
    return StudyRecord(**values)  # type: ignore[arg-type]


def order(record: StudyRecord, **more: object) -> list[int]:
    return [entry.number for entry in rank(record, **more).entries]  # type: ignore[arg-type]


def test_feasible_then_front_then_distance_to_the_ideal() -> None:
    record = study(
        complete(0, 0.990, 1.9, 900e3, baseline=True),  # on the front: most accurate
        complete(1, 0.980, 0.5, 100e3),  # on the front: near the ideal
        complete(2, 0.979, 1.0, 300e3),  # beaten by 1: accuracy overlaps, slower and larger
        complete(3, 0.985, 5.0, 100e3),  # over the latency limit
    )
    ranking = rank(record)
    assert [e.number for e in ranking.entries] == [1, 0, 2, 3]
    assert [e.on_front for e in ranking.entries] == [True, True, False, False]
    assert [e.feasible for e in ranking.entries] == [True, True, True, False]
    assert [e.rank for e in ranking.entries] == [1, 2, 3, 4]
    assert not any(e.tie for e in ranking.entries)
    assert ranking.ideal == pytest.approx({"accuracy": 0.990, "latency_ms": 0.5, "size_bytes": 100e3})


def test_distance_is_the_weighted_euclidean_distance_in_the_front_s_units() -> None:
    record = study(complete(0, 0.99, 1.9, 900e3), complete(1, 0.98, 0.5, 100e3))
    near = rank(record).of(1)
    assert near is not None
    assert near.distance == pytest.approx((1 / 3) ** 0.5)


def test_weights_turn_the_order() -> None:
    record = study(complete(0, 0.99, 1.9, 900e3), complete(1, 0.98, 0.5, 100e3))
    assert order(record) == [1, 0]
    assert order(record, weights={"accuracy": 10.0}) == [0, 1]


def test_other_limits_turn_the_order() -> None:
    record = study(complete(0, 0.99, 1.9, 900e3), complete(1, 0.98, 0.5, 100e3))
    strict = Limit(text="accuracy >= 0.985", metric="accuracy", upper=False, bound=0.985)
    assert order(record, where=[strict]) == [0, 1]


def test_candidates_that_cannot_be_told_apart_share_a_rank() -> None:
    record = study(
        complete(0, 0.980, 1.00, 100e3),
        complete(1, 0.981, 1.04, 100e3),
        complete(2, 0.979, 1.50, 90e3),
    )
    entries = rank(record).entries
    shared = {e.number: (e.rank, e.tie) for e in entries}
    assert shared[0] == shared[1]
    assert shared[0][1] is True
    assert shared[2][1] is False
    assert {shared[0][0], shared[2][0]} in ({1, 3}, {1, 2})


def test_ties_are_with_the_first_of_the_group_so_that_chains_do_not_join_the_ends() -> None:
    record = study(*(complete(n, 0.98, 1.0 + 0.08 * n, 100e3) for n in range(3)))
    entries = rank(record).entries
    assert [(e.number, e.rank, e.tie) for e in entries][:2] == [(0, 1, True), (1, 1, True)]
    assert entries[2].rank == 3


def test_failed_gated_and_repeated_trials_are_not_ranked() -> None:
    repeated = replace(complete(4, 0.99, 0.5, 100e3), duplicate_of=0)
    record = study(complete(0, 0.99, 1.0, 100e3), gated(1, 9.0, 100e3), failed(2), repeated)
    assert order(record) == [0]


def test_a_limit_on_what_was_not_measured_is_not_met() -> None:
    memory = Limit(text="memory <= 1 MB", metric="memory_bytes", upper=True, bound=1e6)
    (entry,) = rank(study(complete(0, 0.99, 1.0, 100e3)), where=[memory]).entries
    assert not entry.feasible
    assert entry.violations == {"memory <= 1 MB": float("inf")}


@pytest.mark.parametrize(
    ("value", "high", "fits", "said"),
    [
        (60e6, 63e6, True, False),
        (63e6, 64.5e6, False, True),
        (65e6, 65.5e6, False, False),
        (64e6, 64e6, True, False),
    ],
)
def test_memory_is_held_against_the_upper_end_of_what_processes_take(value, high, fits, said) -> None:
    limit = Limit(text="memory <= 64 MB", metric="memory_bytes", upper=True, bound=64e6)
    memory = Quantity(value=value, low=2 * value - high, high=high)
    record = study(
        complete(0, 0.98, 1.0, 100e3),
        finalists=(Finalist(number=0, metrics={"accuracy": q(0.98), "memory_bytes": memory}),),
        limits=(limit,),
    )
    ranking = rank(record)
    assert ranking.entries[0].feasible is fits
    assert bool(chance_line(record, limit, ranking.entries[0])) is said


def test_finalists_are_ranked_by_test_and_fresh_numbers() -> None:
    finalists = (
        Finalist(number=0, metrics={"accuracy": q(0.96, 0.004), "latency_ms": q(0.5, 0.02)}),
        Finalist(number=1, metrics={"accuracy": q(0.98, 0.004), "latency_ms": q(1.1, 0.02)}),
    )
    record = study(complete(0, 0.99, 0.5, 100e3), complete(1, 0.98, 1.0, 100e3), finalists=finalists)
    first, second = rank(record).entries
    assert (first.number, first.source, first.metrics["latency_ms"].value) == (1, "test", 1.1)
    assert (second.number, second.feasible) == (0, False)
    assert second.metrics["size_bytes"].value == 100e3


def test_a_finalist_comes_before_an_unchecked_candidate_of_the_front() -> None:
    finalist = Finalist(number=0, metrics={"accuracy": q(0.98, 0.004), "latency_ms": q(1.8, 0.02)})
    record = study(complete(0, 0.98, 1.8, 100e3), complete(1, 0.99, 0.5, 101e3), finalists=(finalist,))
    assert order(record) == [0, 1]


def test_a_limit_relative_to_the_teacher_moves_with_the_split() -> None:
    limit = replace(ACCURATE, bound_on_test=0.95)
    finalist = Finalist(number=0, metrics={"accuracy": q(0.96, 0.004)})
    record = study(complete(0, 0.98, 1.0, 100e3), finalists=(finalist,), limits=(limit,))
    assert rank(record).entries[0].feasible


def test_the_strongest_simple_choice_is_the_fastest_that_is_accurate_enough() -> None:
    record = study(
        complete(0, 0.99, 1.5, 900e3, baseline=True),
        complete(1, 0.98, 0.9, 300e3, baseline=True),
        complete(2, 0.90, 0.2, 100e3, baseline=True),
        complete(3, 0.98, 0.9, 250e3, baseline=True),
        complete(4, 0.99, 0.1, 10e3),
    )
    assert strongest_simple_choice(record) == 3
    assert strongest_simple_choice(replace(record, baseline=1)) == 1
    assert strongest_simple_choice(replace(record, baseline=2)) == 3
    assert strongest_simple_choice(record, where=[]) == 2


def test_without_a_simple_choice_there_is_none() -> None:
    assert strongest_simple_choice(study(complete(0, 0.99, 1.0, 1e3))) is None


def test_verdict_met_states_the_gain_over_the_strongest_simple_choice() -> None:
    finalist = Finalist(
        number=1,
        metrics={"accuracy": q(0.982, 0.004), "latency_ms": q(0.5, 0.01)},
        ratio_to_baseline=Quantity(value=0.25, low=0.24, high=0.26),
    )
    base = Finalist(number=0, metrics={"accuracy": q(0.99, 0.004), "latency_ms": q(1.9, 0.01)})
    record = study(
        complete(0, 0.99, 1.9, 900e3, baseline=True),
        complete(1, 0.98, 0.6, 100e3),
        finalists=(finalist, base),
        baseline=0,
    )
    answer = read(record).verdict
    assert (answer.status, answer.exit_code, answer.recommended, answer.baseline) == ("met", 0, 1, 0)
    assert answer.speedup is not None
    assert (answer.speedup.value, answer.speedup.low, answer.speedup.high) == pytest.approx(
        (4, 1 / 0.26, 1 / 0.24)
    )
    assert answer.size_ratio == pytest.approx(9)


def test_without_a_paired_ratio_the_speedup_has_the_errors_of_both_latencies() -> None:
    record = study(complete(0, 0.99, 2.0, 900e3, baseline=True), complete(1, 0.98, 1.0, 100e3))
    ratio = read(record).verdict.speedup
    assert ratio is not None
    assert ratio.value == pytest.approx(2)
    assert ratio.low is not None
    assert ratio.high is not None
    assert 1.85 < ratio.low < 1.92 < 2.08 < ratio.high < 2.15


def test_verdict_says_do_nothing_when_nothing_beats_the_simple_choice() -> None:
    record = study(complete(0, 0.98, 1.0, 100e3, baseline=True), complete(1, 0.979, 1.02, 100e3))
    answer = read(record).verdict
    assert (answer.status, answer.exit_code, answer.recommended) == ("do_nothing", 0, 0)
    assert answer.speedup is None


def test_a_trifle_is_no_reason_to_leave_the_simple_choice() -> None:
    """2 % smaller for sure: that is beyond error, and still nothing to change a deployment for."""
    base = complete(0, 0.98, 1.0, 234e3, baseline=True)
    answer = read(study(base, complete(1, 0.98, 1.0, 230e3))).verdict
    assert (answer.status, answer.recommended) == ("do_nothing", 0)
    assert read(study(base, complete(1, 0.98, 1.0, 210e3))).verdict.recommended == 1


def test_a_candidate_that_is_better_on_one_objective_is_not_nothing() -> None:
    record = study(complete(0, 0.98, 1.0, 100e3, baseline=True), complete(1, 0.979, 1.02, 50e3))
    assert read(record).verdict.status == "met"
    assert read(record).verdict.recommended == 1


def test_verdict_names_ties_doubts_and_noise() -> None:
    near = Limit(text="latency <= 1.02 ms", metric="latency_ms", upper=True, bound=1.02)
    one = complete(1, 0.98, 1.0, 100e3)
    noisy = replace(one, evaluation=replace(one.evaluation, stability="noisy because the reference drifted"))
    answer = read(study(noisy, complete(3, 0.981, 1.01, 100e3), limits=(ACCURATE, near))).verdict
    assert answer.ties == (1,)
    _, _, doubt, tie = answer.sure
    assert all(part in doubt for part in (near.text, "10 µs", "missed", "35 %"))
    assert "#1" in tie
    other = read(study(noisy, limits=(near,))).verdict
    assert any("noisy because the reference drifted" in line for line in other.sure)


def test_a_limit_that_is_met_by_more_than_the_error_is_no_news() -> None:
    """The interval reaches over the limit, as it does in nearly every study; the chance is 4 %."""
    record = study(complete(1, 0.9735, 1.0, 100e3), limits=(ACCURATE,))
    assert not any("limit" in line for line in read(record).verdict.sure)


def test_doubt_about_quality_asks_for_samples() -> None:
    finalist = Finalist(number=1, metrics={"accuracy": q(0.971, 0.004), "latency_ms": q(1.0, 0.01)})
    met = read(study(complete(1, 0.98, 1.0, 100e3), finalists=(finalist,), limits=(ACCURATE,))).verdict
    assert all(part in met.sure[2] for part in (ACCURATE.text, "0.1 pt", "31 %", "test samples"))
    missed = read(study(complete(1, 0.969, 1.0, 100e3), limits=(ACCURATE,))).verdict
    assert all(part in missed.sure[2] for part in ("0.1 pt", "validation samples"))


def test_many_ties_are_counted() -> None:
    answer = read(study(*(complete(n, 0.98, 1.0 + n / 1e4, 100e3) for n in range(9)), limits=())).verdict
    assert answer.recommended == 0
    assert answer.ties == tuple(range(1, 9))
    assert any("#5 and 3 more" in line for line in answer.sure)


def test_a_far_slower_candidate_is_not_recommended_for_a_trifle_of_size() -> None:
    """17.5 µs and 230 kB against 81 µs and 226 kB at equal accuracy; both orders of number."""
    for fast, small in ((0, 1), (1, 0)):
        record = study(
            replace(complete(fast, 0.98, 1.0, 230e3), evaluation=precise(fast, 0.0175, 230e3)),
            replace(complete(small, 0.98, 1.0, 226e3), evaluation=precise(small, 0.081, 226e3)),
            limits=(ACCURATE,),
        )
        assert read(record).verdict.recommended == fast
        as_simple = replace(
            record,
            trials=tuple(
                replace(t, evaluation=replace(t.evaluation, baseline=t.number == fast)) for t in record.trials
            ),
        )
        answer = read(as_simple).verdict
        assert (answer.recommended, answer.baseline) == (fast, fast)
        # Ten times smaller is no trifle: it is recommended, and the first line says what it costs.
        tenth = replace(
            as_simple,
            trials=tuple(
                t if t.number == fast else replace(t, evaluation=precise(small, 0.081, 8e3))
                for t in as_simple.trials
            ),
        )
        answer = read(tenth).verdict
        assert answer.recommended == small
        assert answer.speedup is not None
        assert answer.speedup.value == pytest.approx(0.0175 / 0.081)
        assert answer.size_ratio == pytest.approx(230 / 8)


def test_a_factor_counts_the_same_in_time_and_in_size() -> None:
    """Twice as small does not outweigh 4.6 times as slow, though each is the whole span of its objective."""
    trials = [complete(n, 0.98, 1.0, 1e5) for n in range(2)]
    slow_small = replace(trials[0], evaluation=precise(0, 0.081, 110e3))
    fast_large = replace(trials[1], evaluation=precise(1, 0.0175, 230e3))
    assert order(study(slow_small, fast_large, limits=())) == [1, 0]
    assert order(study(slow_small, fast_large, limits=()), weights={"size_bytes": 6.0}) == [0, 1]


def precise(number: int, latency: float, size: float) -> Evaluation:
    """A complete evaluation with the accuracy of all, and a latency within 5 %."""
    metrics = {
        "accuracy": q(0.98, 0.004),
        "latency_ms": q(latency, latency * 0.05),
        "size_bytes": Quantity(value=size),
    }
    return replace(complete(number, 0.98, 1.0, size).evaluation, metrics=metrics)


def test_a_loss_of_quality_without_a_limit_on_it_is_pointed_out() -> None:
    trials = complete(0, 0.990, 1.0, 900e3, baseline=True), complete(1, 0.40, 0.1, 50e3)
    answer = read(study(*trials, limits=())).verdict
    assert answer.recommended == 1
    assert any("No limit on accuracy is set" in line for line in answer.lines)
    low = Limit(text="accuracy >= 0.3", metric="accuracy", upper=False, bound=0.3)
    assert not any("No limit on" in line for line in read(study(*trials, limits=(low,))).verdict.lines)


def test_what_the_quality_costs_is_said() -> None:
    base = complete(0, 0.99, 1.9, 900e3, baseline=True)
    for accuracy, said in (
        (0.98, "Accuracy is 1 pt lower, beyond error."),
        (0.985, "Accuracy is 0.5 pt lower, within error."),
        (0.99, "Accuracy is the same."),
    ):
        assert said in read(study(base, complete(1, accuracy, 0.5, 1e5))).verdict.lines


def test_candidates_that_tie_share_a_rank_past_others_on_the_front() -> None:
    record = study(
        complete(0, 0.980, 1.00, 100e3),
        complete(1, 0.9805, 1.40, 80e3),
        complete(2, 0.979, 1.09, 100e3),
        limits=(),
    )
    entries = rank(record, weights={"size_bytes": 0.5}).entries
    assert [(e.number, e.rank, e.tie) for e in entries] == [(0, 1, True), (2, 1, True), (1, 3, False)]


def test_numbers_of_different_splits_never_meet() -> None:
    """Test numbers are lower for all; that must move neither ideal, nor ties, nor what beats what."""
    finalists = (
        Finalist(number=0, metrics={"accuracy": q(0.975, 0.001), "latency_ms": q(1.0, 0.01)}),
        Finalist(number=1, metrics={"accuracy": q(0.972, 0.001), "latency_ms": q(0.8, 0.01)}),
    )
    record = study(
        complete(0, 0.992, 1.0, 100e3, baseline=True),
        complete(1, 0.990, 0.8, 100e3),
        complete(2, 0.972, 0.79, 100e3),  # as #1 on test, but far below it on validation
        finalists=finalists,
        limits=(),
    )
    ranking = rank(record)
    assert ranking.ideal["accuracy"] == pytest.approx(0.975)
    assert {e.number: e.tie for e in ranking.entries} == {0: False, 1: False, 2: False}
    first, last = ranking.of(1), ranking.of(2)
    assert first is not None
    assert last is not None
    assert worth_it(record, first, last) == ["accuracy"]
    assert worth_it(record, last, first) == []


def test_numbers_that_are_none_count_as_unknown() -> None:
    broken = complete(1, float("nan"), 0.5, 100e3)
    wide = complete(2, 0.98, 0.9, 100e3)
    odd = {**wide.evaluation.metrics, "latency_ms": Quantity(value=0.9, low=float("nan"), high=float("inf"))}
    wide = replace(wide, evaluation=replace(wide.evaluation, metrics=odd))
    record = study(complete(0, 0.99, 1.0, 100e3), broken, wide)
    answer, ranking = read(record).verdict, rank(record)
    assert answer.status == "met"
    assert [e.number for e in ranking.entries][-1] == 1
    last = ranking.of(1)
    assert last is not None
    assert not last.feasible
    assert last.distance == float("inf")


def test_four_objectives_and_a_metric_where_less_is_better() -> None:
    objectives = (
        Objective(metric="loss", higher_is_better=False, weight=3.0),
        Objective(metric="latency_ms", higher_is_better=False),
        Objective(metric="size_bytes", higher_is_better=False),
        Objective(metric="memory_bytes", higher_is_better=False),
    )
    trials = []
    for number, (loss, latency, memory) in enumerate([(0.2, 2.0, 9e6), (0.1, 1.0, 8e6), (0.1, 0.9, 0.0)]):
        metrics = {
            "loss": q(loss, 0.01), "latency_ms": q(latency, 0.01),
            "size_bytes": Quantity(value=1e5), "memory_bytes": Quantity(value=memory),
        }  # fmt: skip
        trial = complete(number, 0.0, 1.0, 1.0, baseline=number == 0)
        trials.append(replace(trial, evaluation=replace(trial.evaluation, metrics=metrics)))
    record = study(*trials, objectives=objectives, quality="loss", limits=())
    assert order(record) == [2, 1, 0]
    answer = read(record).verdict
    assert (answer.status, answer.recommended) == ("met", 2)
    assert "Loss is 0.1 lower, beyond error." in answer.lines


def test_nearest_misses_say_what_relaxing_each_limit_alone_would_admit() -> None:
    record = study(
        complete(0, 0.950, 1.0, 100e3),  # accuracy missed by 2 points
        complete(1, 0.980, 2.43, 100e3),  # latency missed by 0.43 ms
        complete(2, 0.990, 3.0, 100e3),
    )
    misses = nearest_misses(record)
    assert {m.number for m in misses.candidates} == {0, 1, 2}
    assert misses.candidates[0].number == 1
    by_limit = {r.changes[0].limit.text: r for r in misses.alone}
    assert by_limit[ACCURATE.text].number == 0
    assert by_limit[ACCURATE.text].changes[0].bound == pytest.approx(0.95)
    assert by_limit[FAST.text].number == 1
    assert by_limit[FAST.text].changes[0].amount == pytest.approx(0.43)
    assert misses.joint is None


def test_the_relaxed_bound_that_is_printed_admits_the_candidate() -> None:
    record = study(complete(1, 0.969_949, 2.004_1, 100e3))
    joint = nearest_misses(record).joint
    assert joint is not None
    relaxed = [replace(change.limit, bound=change.bound) for change in joint.changes]
    assert rank(record, where=relaxed).entries[0].feasible
    assert "to 96.99 %" in relaxation_text(record, joint)
    assert "to 2.01 ms" in relaxation_text(record, joint)


def test_where_no_single_limit_suffices_the_smallest_joint_relaxation_is_given() -> None:
    record = study(complete(0, 0.96, 2.5, 100e3), complete(1, 0.90, 9.0, 100e3))
    misses = nearest_misses(record)
    assert misses.alone == ()
    assert misses.joint is not None
    assert misses.joint.number == 0
    assert [c.limit.text for c in misses.joint.changes] == [ACCURATE.text, FAST.text]


def test_a_gated_candidate_may_admit_but_its_quality_is_unknown() -> None:
    record = study(complete(0, 0.90, 1.0, 100e3), gated(1, 2.2, 100e3))
    misses = nearest_misses(record)
    by_limit = {r.changes[0].limit.text: r for r in misses.alone}
    assert by_limit[FAST.text].certain is False
    assert by_limit[ACCURATE.text].certain is True
    assert [m.number for m in misses.candidates] == [0, 1]
    assert misses.candidates[1].unknown == (ACCURATE.text,)


def test_a_miss_in_points_is_weighed_by_the_bound() -> None:
    assert violation_scale(WORST) == 0.03
    assert violation_scale(replace(WORST, bound=0.0)) == 0.01


def test_verdict_not_met_names_the_nearest_and_exits_2() -> None:
    record = study(complete(0, 0.99, 3.0, 900e3, baseline=True), complete(1, 0.98, 2.5, 100e3))
    answer = read(record).verdict
    assert (answer.status, answer.exit_code, answer.recommended) == ("not_met", 2, 1)
    assert answer.misses is not None
    (way,) = answer.misses.alone
    assert (way.number, way.certain, way.changes[0].bound) == (1, True, pytest.approx(2.5))
    assert relaxation_text(record, way) in answer.lines


def test_verdict_with_nothing_complete_exits_3_and_says_why() -> None:
    answer = read(study(failed(0), failed(1), gated(2, 2.5, 1e3))).verdict
    assert (answer.status, answer.exit_code, answer.recommended) == ("nothing_usable", 3, None)
    assert "2 failed, 1 gated" in answer.lines
    assert "2 times: killed by signal 11" in answer.lines
    assert any("may admit #2" in line for line in answer.lines)


def test_verdict_of_an_empty_study() -> None:
    answer = read(study()).verdict
    assert answer.status == "nothing_usable"
    assert answer.lines == ("No trial was run.",)


def test_numbers_in_words() -> None:
    assert quantity_text("latency_ms", Quantity(value=1.234, low=1.2, high=1.26)) == "1.23 ms (1.2 to 1.26)"
    assert quantity_text("latency_ms", Quantity(value=1.0, low=0.9, high=1.1)) == "1 ms (900 µs to 1.1 ms)"
    assert quantity_text("size_bytes", Quantity(value=1536.0)) == "1.54 kB"
    assert speed_words(Quantity(value=1.01, low=0.98, high=1.04)) == (
        "as fast as (95 % interval 0.98 to 1.04 times)"
    )
    assert speed_words(Quantity(value=0.5, low=0.4, high=0.625)) == (
        "2 times slower than (95 % interval 1.6 to 2.5)"
    )
    assert size_words(0.5) == "2 times larger than"
    assert size_words(1.001) == "the same size as"
