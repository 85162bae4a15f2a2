"""The gate: over a limit on the device, bound to miss one on the quality, sure to be dominated, in doubt."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from math import inf

import pytest
from paretune.profiles.precision import Precision
from paretune.search.gate.gate import Gate, over_limit
from paretune.search.ranking.known import point_of, violations
from paretune.search.ranking.pareto import dominates
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.deployed import Deployed
from paretune.search.record.evaluation import (
    Evaluation,
    Limit,
    Objective,
    Outcome,
    Quantity,
    StageRecord,
    TrialRecord,
)
from paretune.search.record.metrics import HARDWARE_METRICS, metric_info
from paretune.search.record.protocols import Hardware, Milestone
from paretune.search.record.quality import QualityScale

RECIPE = Recipe(epochs=10)
FAST = Limit(text="latency <= 2 ms", metric="latency_ms", upper=True, bound=2.0)
WORST = Limit(text="worst_class_drop <= 3 pt absolute", metric="worst_class_drop", upper=True, bound=0.03)
ACCURATE = Limit(text="accuracy >= 95 %", metric="accuracy", upper=False, bound=0.95)


def objectives(*names: str) -> tuple[Objective, ...]:
    higher = ("accuracy", "throughput")
    return tuple(Objective(metric=name, higher_is_better=name in higher) for name in names)


THREE = objectives("accuracy", "latency_ms", "size_bytes")


def student(width: float, precision: str = "fp32") -> Candidate:
    return Candidate(
        backend="ort", precision=Precision(precision), student=(("width", width),), recipe=RECIPE
    )


def numbers(
    latency: float = 1.0, size: float = 100e3, half: float = 0.1, **more: float
) -> dict[str, Quantity]:
    found = {name: Quantity(value=value) for name, value in more.items()}
    found["latency_ms"] = Quantity(value=latency, low=latency - half, high=latency + half)
    found["size_bytes"] = Quantity(value=size, low=size, high=size)
    return found


def trial(number: int, candidate: Candidate, metrics: dict[str, Quantity], **more: object) -> TrialRecord:
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, **more)
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def complete(number: int, width: float, accuracy: float, precision: str = "fp32", **hardware) -> TrialRecord:
    metrics = {"accuracy": Quantity(value=accuracy, low=accuracy - 0.01, high=accuracy + 0.01)}
    return trial(number, student(width, precision), {**metrics, **numbers(**hardware)})


ERROR = QualityScale(metric="error", higher_is_better=False, is_share=True)


def gate(*trials: TrialRecord, wanted=THREE, limits=(), best=None, **more) -> Gate:
    values = {"scale": QualityScale.of("accuracy"), "margin": 0.01, **more}
    found = Gate(wanted, **values)
    found.at_milestone = partial(found.at_milestone, best_hardware=best)
    found.judge_by(limits)
    for record in trials:
        found.learn(record)
    return found


KNOWN = (
    complete(12, 0.5, 0.912, latency=3.0, size=500e3),
    complete(20, 1.0, 0.931, latency=1.2, size=80e3),
)
SLOW = Hardware(metrics=numbers(latency=2.1, size=130e3))


# -- limits on the device -------------------------------------------------------------------------------


def test_over_a_limit_on_the_device_is_not_trained():
    decision = gate(limits=(FAST, ACCURATE)).before_training(student(0.5), SLOW)
    assert decision is None  # 2.0 to 2.2 ms: noise alone may put it over the limit
    slower = Hardware(metrics=numbers(latency=2.2))
    decision = gate(limits=(FAST, ACCURATE)).before_training(student(0.5), slower)
    assert decision.reason == "Latency is 2.2 ms, the limit is 'latency <= 2 ms'"
    assert decision.bound is None


def test_a_lower_limit_counts_the_upper_end():
    busy = Limit(text="macs >= 1 M", metric="macs", upper=False, bound=1e6)
    assert over_limit((busy,), {"macs": Quantity(value=0.9e6, low=0.8e6, high=1.1e6)}) == ""
    assert "the limit is 'macs >= 1 M'" in over_limit((busy,), {"macs": Quantity(value=0.9e6)})


def test_limits_that_are_not_of_the_device_or_were_not_measured_stop_nothing():
    assert over_limit((FAST, ACCURATE), {"accuracy": Quantity(value=0.1)}) == ""


def test_a_limit_against_the_teacher_tells_its_value_and_several_are_listed():
    half = Limit(text="latency <= teacher / 2", metric="latency_ms", upper=True, bound=1.5)
    small = Limit(text="size <= 90 kB", metric="size_bytes", upper=True, bound=90e3)
    assert over_limit((half, small), numbers(latency=2.0, size=100e3)) == (
        "Latency is 2 ms, the limit is 'latency <= teacher / 2' (1.5 ms); "
        "Size is 100 kB, the limit is 'size <= 90 kB'"
    )


def test_limits_on_side_effects_are_no_matter_of_the_gate() -> None:
    hardware = {"latency_ms": Quantity(value=1.0)}
    assert over_limit((WORST,), hardware) == ""
    known = violations((WORST,), {"worst_class_drop": Quantity(value=0.05)})
    assert known == {WORST.text: pytest.approx(0.02)}


def test_every_number_of_the_device_counts_as_one():
    assert {"latency_ms", "latency_ratio", "size_bytes", "memory_bytes"} < HARDWARE_METRICS
    assert "accuracy" not in HARDWARE_METRICS


def test_violations_count_what_is_not_known_as_missed():
    found = violations((FAST, ACCURATE), {"latency_ms": Quantity(value=1.5)})
    assert found == {"latency <= 2 ms": -0.5, "accuracy >= 95 %": inf}


# -- the bound against a limit on the quality -----------------------------------------------------------


def test_bound_to_miss_a_limit_on_the_quality():
    judge = gate(KNOWN[0], limits=(ACCURATE,))
    decision = judge.before_training(student(0.5, "fp16"), SLOW)
    assert decision.reason == (
        "accuracy is at most 92.20 % (#12, the same student at fp32, has 91.20 %; 1 pt margin), "
        "the limit is 'accuracy >= 95 %'"
    )
    assert decision.bound.value == pytest.approx(0.922)
    assert decision.bound.beaten_by is None


def test_a_limit_that_the_bound_meets_or_that_is_on_the_other_side_stops_nothing():
    lower = replace(ACCURATE, bound=0.92)
    other_side = Limit(text="accuracy <= 50 %", metric="accuracy", upper=True, bound=0.5)
    judge = gate(KNOWN[0], limits=(lower, other_side))
    assert judge.before_training(student(0.5, "fp16"), SLOW) is None


def test_limits_may_come_after_the_first_trials():
    judge = gate(*KNOWN)
    candidate = student(0.5, "fp16")
    assert judge.before_training(candidate, SLOW).bound.beaten_by == 20
    judge.judge_by((replace(ACCURATE, bound=0.935),))  # now #20 itself misses a limit
    assert judge.before_training(candidate, SLOW).bound.beaten_by is None
    judge.judge_by((replace(ACCURATE, bound=0.92), FAST))
    assert judge.limits == (replace(ACCURATE, bound=0.92), FAST)
    assert judge.before_training(candidate, SLOW).bound.beaten_by == 20
    judge.judge_by((Limit(text="memory <= 5 MB", metric="memory_bytes", upper=True, bound=5e6),))
    assert judge.before_training(candidate, SLOW) is None  # the memory of #20 is not known
    judge.judge_by(())
    assert judge.before_training(candidate, SLOW).bound.beaten_by == 20


# -- dominated ------------------------------------------------------------------------------------------


def test_dominated_even_at_its_best():
    decision = gate(*KNOWN).before_training(student(0.5, "fp16"), SLOW)
    assert decision.reason == (
        "even at 92.20 % (#12, the same student at fp32, has 91.20 %; 1 pt margin), #20 would be better on "
        "accuracy (93.10 %), latency (1.2 ms against 2.1 ms) and size (80 kB against 130 kB)"
    )
    assert decision.bound.beaten_by == 20
    assert decision.bound.value == pytest.approx(0.922)


@pytest.mark.parametrize(
    ("accuracy", "hardware"),
    [
        (0.922, {"latency": 2.1, "size": 130e3}),  # the other one is as good as the bound and no better
        (0.931, {"latency": 1.4, "size": 130e3}),  # within error of its latency
        (0.931, {"latency": 2.1, "size": 80e3}),  # of the same size
        (0.931, {"latency": 2.1, "size": 79e3}),  # smaller
        (0.931, {"latency": 0.5, "size": 130e3}),  # faster
    ],
)
def test_not_dominated_on_every_objective_is_trained(accuracy, hardware):
    judge = gate(KNOWN[0], complete(20, 1.0, accuracy, latency=1.2, size=80e3))
    assert judge.before_training(student(0.5, "fp16"), Hardware(metrics=numbers(**hardware))) is None


def test_an_objective_that_was_not_measured_decides_nothing():
    four = objectives("accuracy", "latency_ms", "size_bytes", "memory_bytes")
    beaten = numbers(latency=2.1, size=130e3, memory_bytes=3e6)
    less = complete(20, 1.0, 0.931, latency=1.2, size=80e3)
    more = replace(
        less,
        evaluation=replace(
            less.evaluation, metrics={**less.evaluation.metrics, **numbers(1.2, 80e3, memory_bytes=2e6)}
        ),
    )
    candidate = student(0.5, "fp16")
    assert gate(KNOWN[0], more, wanted=four).before_training(candidate, Hardware(metrics=beaten)).bound
    assert gate(KNOWN[0], less, wanted=four).before_training(candidate, Hardware(metrics=beaten)) is None
    assert gate(KNOWN[0], more, wanted=four).before_training(candidate, SLOW) is None


@pytest.mark.parametrize("change", [{"outcome": Outcome.GATED}, {"outcome": Outcome.FAILED}])
def test_only_complete_trials_beat_others(change):
    other = replace(KNOWN[1], evaluation=replace(KNOWN[1].evaluation, **change))
    assert gate(KNOWN[0], other).before_training(student(0.5, "fp16"), SLOW) is None
    repeated = replace(KNOWN[1], duplicate_of=3)
    assert gate(KNOWN[0], repeated).before_training(student(0.5, "fp16"), SLOW) is None


def test_nothing_is_better_than_the_best_value_so_equal_is_enough_there():
    perfect = complete(3, 0.25, 1.0, latency=1.2, size=80e3)
    decision = gate(perfect).before_training(student(0.5), SLOW)
    assert decision.reason == (
        "even at 100.00 % (accuracy is never more than 100.00 %), #3 would be as good on accuracy and better "
        "on latency (1.2 ms against 2.1 ms) and size (80 kB against 130 kB)"
    )
    almost = complete(3, 0.25, 0.9999, latency=1.2, size=80e3)
    assert gate(almost).before_training(student(0.5), SLOW) is None


def test_the_best_of_those_that_dominate_is_named():
    better = complete(21, 2.0, 0.95, latency=1.2, size=80e3)
    worse = complete(22, 3.0, 0.94, latency=1.2, size=80e3)
    decision = gate(*KNOWN, better, worse).before_training(student(0.5, "fp16"), SLOW)
    assert decision.bound.beaten_by == 21


def test_more_trials_than_there_was_room_for_at_first():
    many = [complete(100 + n, 5.0 + n, 0.5, latency=1.0 + n) for n in range(40)]
    assert gate(*many, *KNOWN).before_training(student(0.5, "fp16"), SLOW).bound.beaten_by == 20


def test_where_the_quality_is_no_objective_the_device_alone_counts():
    two = objectives("latency_ms", "size_bytes")
    decision = gate(*KNOWN, wanted=two).before_training(student(0.5, "fp16"), SLOW)
    assert decision.bound.beaten_by == 20
    assert decision.reason.endswith(
        "#20 would be better on latency (1.2 ms against 2.1 ms) and size (80 kB against 130 kB)"
    )
    assert gate(KNOWN[0], wanted=two).before_training(student(0.5, "fp16"), SLOW) is None
    strict = gate(*KNOWN, wanted=two, limits=(ACCURATE,))  # #20 misses it and beats no one
    assert strict.before_training(student(2.0), SLOW) is None


def test_where_neither_bounds_nor_objectives_tell_of_the_quality_the_record_still_names_who_is_better():
    metrics = {"loss": Quantity(value=0.4), **numbers(latency=1.2, size=80e3)}
    judge = gate(
        trial(20, student(0.25), metrics),
        wanted=objectives("latency_ms", "size_bytes"),
        scale=QualityScale.of("loss", higher_is_better=False),
    )
    decision = judge.before_training(student(0.5), SLOW)
    assert decision.reason.startswith("whatever its loss, #20 would be better on latency")
    assert (decision.bound.beaten_by, decision.bound.value) == (20, 0.4)
    assert "nothing bounds it" in decision.bound.basis


def test_the_quality_alone_must_differ_beyond_error():
    alone = objectives("accuracy")
    clear = complete(20, 1.0, 0.94)  # 0.93 to 0.95
    near = complete(20, 1.0, 0.93)  # 0.92 to 0.94, the bound is 0.922
    candidate = student(0.5, "fp16")
    assert gate(KNOWN[0], clear, wanted=alone).before_training(candidate, SLOW).bound.beaten_by == 20
    assert gate(KNOWN[0], near, wanted=alone).before_training(candidate, SLOW) is None
    perfect = complete(20, 1.0, 1.0)
    assert gate(perfect, wanted=alone).before_training(candidate, SLOW) is None  # another may tie with it


@pytest.mark.parametrize("named", [True, False])
def test_where_lower_is_better(named):
    wanted = objectives("error", "latency_ms") if named else objectives("latency_ms")
    worse = {"error": Quantity(value=0.10), **numbers(latency=9.0)}
    better = {"error": Quantity(value=0.08), **numbers(latency=1.0)}
    known = trial(1, student(0.5), worse), trial(2, student(1.0), better)
    settings = {"wanted": wanted, "scale": ERROR}
    decision = gate(*known, **settings).before_training(student(0.5, "fp16"), SLOW)
    assert decision.bound.value == pytest.approx(0.09)
    assert decision.bound.beaten_by == 2
    low = Limit(text="error <= 5 %", metric="error", upper=True, bound=0.05)
    missed = gate(*known, limits=(low,), **settings).before_training(student(0.5, "fp16"), SLOW)
    assert "error is at least 0.09 (" in missed.reason
    assert missed.bound.beaten_by is None
    met = replace(low, bound=0.09)
    fast = Hardware(metrics=numbers(latency=0.5))
    assert gate(*known, limits=(met,), **settings).before_training(student(0.5, "fp16"), fast) is None


# -- doubt ----------------------------------------------------------------------------------------------


def test_where_the_weights_may_matter_or_it_cannot_exist_nothing_is_decided():
    judge = gate(*KNOWN, limits=(FAST,))
    slowest = numbers(latency=9.0, size=900e3)
    assert judge.before_training(student(0.5, "fp16"), Hardware(metrics=slowest)) is not None
    doubt = Hardware(metrics=slowest, doubt="sparse kernels are picked by the zeros")
    judge.judge_by((FAST, ACCURATE))
    assert judge.before_training(student(0.5, "fp16"), doubt) is None
    assert judge.before_training(student(0.5, "fp16"), Hardware(refused="no such kernel")) is None
    assert judge.before_training(student(0.5, "fp16"), Hardware()).bound is not None


# -- at a milestone ------------------------------------------------------------------------------------------


def trained(number: int, *, half_way: float, end: float) -> TrialRecord:
    """A slow and large trial, with the curve of its training."""
    record = complete(number, 0.1 + number / 1000, end, latency=50.0, size=9e6)
    curve = ((5, half_way), (10, end))
    stage = StageRecord(name="distill", key=f"{number:064x}", cached=False, seconds=1.0, curve=curve)
    return replace(record, evaluation=replace(record.evaluation, stages=(stage,)))


# None gained more than 4 points after half of its epochs: a bound of 1.5 times that and a point on top.
CURVES = tuple(trained(n, half_way=0.90 - gain, end=0.90) for n, gain in ((1, 0.02), (2, 0.03), (3, 0.04)))
BEHIND = {"latency_ms": 2.0, "size_bytes": 130e3}


def half_way(quality: float, kind: str = "distill") -> Milestone:
    return Milestone(key="x", kind=kind, epochs=10, curve=((2, 0.1), (5, quality)))


def test_a_training_that_cannot_reach_a_limit_is_given_up():
    judge = gate(*CURVES, limits=(ACCURATE,))
    decision = judge.at_milestone(student(0.5), half_way(0.87))
    assert decision.reason == (
        "accuracy is at most 94.00 % (87.00 % after 5 of 10 epochs; none of 3 finished trainings gained more "
        "than 4 pt from there; 1.5 times that and 1 pt margin), the limit is 'accuracy >= 95 %'"
    )
    assert decision.bound.value == pytest.approx(0.94)
    assert decision.bound.beaten_by is None
    assert judge.at_milestone(student(0.5), half_way(0.89)) is None


def test_a_training_that_cannot_reach_the_front_is_given_up():
    judge = gate(*CURVES, KNOWN[1], best=BEHIND)
    decision = judge.at_milestone(student(0.5), half_way(0.85))
    assert decision.reason.endswith(
        "), #20 would be better on accuracy (93.10 %), latency (1.2 ms against 2 ms) "
        "and size (80 kB against 130 kB)"
    )
    assert decision.bound.beaten_by == 20
    assert judge.at_milestone(student(0.5), half_way(0.87)) is None  # may come to 94 %


@pytest.mark.parametrize(
    "best", [None, {}, {"latency_ms": 1.3, "size_bytes": 130e3}, {"latency_ms": 2.0, "size_bytes": 80e3}]
)
def test_a_training_whose_candidates_may_be_better_on_the_device_goes_on(best):
    assert gate(*CURVES, KNOWN[1], best=best).at_milestone(student(0.5), half_way(0.5)) is None


def test_a_training_is_not_given_up_for_numbers_in_doubt():
    judge = gate(*CURVES, KNOWN[1], best=BEHIND, limits=(replace(ACCURATE, bound=0.5),))
    judge.before_training(student(0.5), replace(SLOW, doubt="sparse kernels are picked by the zeros"))
    assert judge.at_milestone(student(0.5), half_way(0.85)) is None
    assert judge.at_milestone(student(0.5), half_way(0.2)).bound.beaten_by is None  # the limit is in no doubt
    assert judge.at_milestone(student(0.75), half_way(0.85)).bound.beaten_by == 20


def test_what_compiling_was_seen_to_gain_is_in_the_margin_of_a_rung():
    lucky = complete(30, 0.101, 0.93, "fp16", latency=50.0)  # three points better than #1, the same at fp32
    plain, wider = gate(*CURVES, limits=(ACCURATE,)), gate(*CURVES, lucky, limits=(ACCURATE,))
    assert plain.at_milestone(student(0.5), half_way(0.87)).bound.value == pytest.approx(0.94)
    assert wider.at_milestone(student(0.5), half_way(0.87)) is None
    assert wider.at_milestone(student(0.5), half_way(0.85)).bound.value == pytest.approx(0.94)


def test_what_pruning_was_seen_to_gain_is_in_the_margin_of_what_comes_before_it():
    pruned = complete(30, 0.101, 0.93, latency=50.0)  # three points better than #1, which was not pruned
    candidate = replace(pruned.evaluation.candidate, sparsity="channel:0.5")
    pruned = replace(pruned, evaluation=replace(pruned.evaluation, candidate=candidate))
    judge = gate(*CURVES, pruned, limits=(ACCURATE,))
    assert judge.at_milestone(student(0.5), half_way(0.87)) is None
    assert judge.at_milestone(student(0.5), half_way(0.85)).bound.value == pytest.approx(0.94)


# -- at random ------------------------------------------------------------------------------------------

MIXES = (
    ("accuracy", "latency_ms"),
    ("error", "size_bytes"),
    ("accuracy", "latency_ms", "size_bytes"),
    ("latency_ms", "error", "throughput"),
    ("error", "latency_ms", "size_bytes", "throughput"),
    ("latency_ms", "size_bytes"),
)


@pytest.mark.parametrize("mix", MIXES, ids="-".join)
def test_what_is_gated_is_dominated_whenever_its_quality_keeps_to_the_bound(mix):
    rng = random.Random("-".join(mix))
    quality = "error" if "error" in mix else "accuracy"
    wanted, higher = objectives(*mix), quality == "accuracy"
    judge = gate(wanted=wanted, scale=QualityScale(metric=quality, higher_is_better=higher, is_share=True))
    by_number, gated = {}, 0
    for number in range(300):
        width, precision = rng.randrange(1, 40) / 40, rng.choice(("fp32", "fp16", "int8-dynamic"))
        candidate = student(width, precision)
        hardware = numbers(rng.uniform(0.5, 4), rng.uniform(1e4, 4e5), 0.05, throughput=rng.uniform(1, 9))
        good = min(0.5 + 0.4 * width + rng.gauss(0, 0.02), 1.0)
        true = Quantity(value=good if higher else 1 - good)
        decision = judge.before_training(candidate, Hardware(metrics=hardware))
        if decision is not None:
            gated += 1
            bound = decision.bound
            inside = min if higher else max
            kept = {**hardware, quality: Quantity(value=inside(true.value, bound.value))}
            winner = by_number[bound.beaten_by].evaluation.metrics
            directions = [objective.higher_is_better for objective in wanted]
            assert dominates(point_of(wanted, winner), point_of(wanted, kept), directions)
            assert f"#{bound.beaten_by} would be " in decision.reason
            assert all(metric_info(name).title.lower() in decision.reason for name in mix)
        by_number[number] = trial(number, candidate, {**hardware, quality: true})
        judge.learn(by_number[number])
    assert 0 < gated < 300


# -- the ladder -----------------------------------------------------------------------------------------


def test_only_what_could_still_matter_is_worth_climbing() -> None:
    candidate, middling = student(0.5, "int8"), numbers(latency=1.15, size=90e3, half=0.01)
    slow = numbers(latency=2.1, size=130e3)
    judge = gate(*KNOWN)
    assert judge.worth_climbing(candidate, slow, 0.95), "more accurate than any"
    assert not judge.worth_climbing(candidate, slow, 0.92), "#20 is faster, smaller and more accurate"
    assert judge.worth_climbing(candidate, middling, 0.92), "faster than #20 within error"
    assert not gate(limits=(FAST,)).worth_climbing(candidate, numbers(latency=2.5), 0.99)
    assert not gate(limits=(ACCURATE,)).worth_climbing(candidate, middling, 0.94)
    assert gate(limits=(FAST, ACCURATE)).worth_climbing(candidate, middling, 0.95)


# -- estimates ----------------------------------------------------------------------------------------------


def expected(latency: float, factor: float, size: float = 100e3) -> dict[str, Quantity]:
    ends = {"low": latency / factor, "high": latency * factor}
    return {
        "latency_ms": Quantity(value=latency, provenance="estimated", **ends),
        "size_bytes": Quantity(value=size, low=size, high=size),
    }


@pytest.mark.parametrize(("latency", "stops"), [(2.9, False), (3.1, True)])
def test_an_estimate_stops_a_training_where_its_whole_range_misses_a_limit(latency, stops):
    decision = gate(limits=(FAST,)).before_training(student(0.5), Hardware(metrics=expected(latency, 1.5)))
    assert (decision is not None) == stops
    assert decision is None or "estimated" in decision.reason


@pytest.mark.parametrize(("latency", "stops"), [(4.0, False), (5.0, True)])
def test_an_estimate_is_beaten_where_the_ranges_lie_apart(latency, stops):
    known = {"accuracy": Quantity(value=1.0, low=1.0, high=1.0), **expected(2.0, 1.5, size=50e3)}
    judge = gate(trial(1, student(0.4), known))
    decision = judge.before_training(student(0.5), Hardware(metrics=expected(latency, 1.5)))
    assert (decision is not None) == stops


def test_a_rival_that_may_miss_a_limit_beats_nobody():
    known = {"accuracy": Quantity(value=1.0, low=1.0, high=1.0), **expected(1.9, 1.5, size=50e3)}
    judge = gate(trial(1, student(0.4), known), limits=(FAST,))
    assert judge.before_training(student(0.5), Hardware(metrics=expected(2.9, 1.5))) is None


def test_no_training_is_given_up_by_what_the_device_is_expected_to_take():
    """What is known at a milestone of the candidates of a training has no ranges."""
    judge = gate(*CURVES, KNOWN[1], best=BEHIND)
    judge.before_training(student(0.5), Hardware(metrics=expected(2.0, 1.1, size=130e3)))
    assert judge.at_milestone(student(0.5), half_way(0.85)) is None


# -- placement ----------------------------------------------------------------------------------------------


WHOLE = Limit(text="delegated >= 100 %", metric="delegated", upper=False, bound=1.0)


def share(value: float) -> dict[str, Quantity]:
    """Of nodes, which is counted and has no error."""
    return {**numbers(), "delegated": Quantity(value=value, low=value, high=value)}


def asked(metrics: dict[str, Quantity], **untold: str) -> str:
    hardware = Hardware(metrics=metrics, deployed=Deployed(untold=untold))
    decision = gate(limits=(WHOLE,)).before_training(student(1.0), hardware)
    return "" if decision is None else decision.reason


def test_a_fallback_of_one_node_misses_a_limit_on_all_before_training():
    assert asked(share(1.0)) == ""
    assert "99.95 %" in asked(share(1999 / 2000))


def test_what_no_runtime_tells_does_not_meet_a_limit():
    said = asked(numbers(), delegated="TVM does not tell")
    assert "TVM does not tell" in said
    assert WHOLE.text in said
    assert asked(numbers(), energy_mj="no meter") == ""
    assert asked(share(1.0), delegated="unlike before") == ""
