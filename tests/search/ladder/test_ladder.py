"""The ladder: which rung comes first, where it ends, what is kept and what stands in the record."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.ladder_table import ACCURACY, FOUR, GROUPS, INT4, INT8, TableBench, at
from paretune.backends.contract.backend import LayerGroup
from paretune.profiles.errors import StageError, UserError
from paretune.profiles.precision import Precision
from paretune.search.ladder.experience import SHARES, Experience
from paretune.search.ladder.ladder import Climb, Ladder, LadderSettings
from paretune.search.ladder.protocols import Cost, StageSeconds
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import EVALUATION, Evaluation, Limit, Outcome
from paretune.search.record.quality import QualityScale
from paretune.search.record.stops import Interrupted
from paretune.search.record.treatment import (
    CALIBRATION,
    MIXED,
    QAT,
    UNTREATED,
    LadderRung,
    QatPlan,
    Treatment,
)

PLAN = QatPlan(weight_bits=4, activation_bits=0, epochs=4)


def climb(bench: TableBench, **more: object) -> Climb:
    return Ladder(LadderSettings(**more)).climb(bench, at(bench))


def won_back(**parts: float):
    """A quality that each part of a treatment adds to, up to the float model's."""

    def quality(treatment: Treatment) -> float:
        found = 0.93
        found += parts.get("percentile", 0.0) * (treatment.calibration_method == "percentile")
        found += parts.get("draw", 0.0) * treatment.calibration_draw
        found += parts.get("samples", 0.0) * (treatment.calibration_samples > 128)
        found += sum(parts.get(name, 0.0) for name in treatment.keep_float)
        found += parts.get("qat", 0.0) * (treatment.qat is not None)
        return min(found, 0.99)

    return quality


# -- the target -----------------------------------------------------------------------------------------


def test_half_a_point_may_be_lost_where_nothing_else_is_said():
    settings = LadderSettings()
    assert settings.target(ACCURACY, (), 0.98) == pytest.approx(0.975)
    assert LadderSettings(allowed_loss=0.02).target(ACCURACY, (), 0.98) == pytest.approx(0.96)
    loss = QualityScale(metric="mae", higher_is_better=False, is_share=False)
    assert settings.target(loss, (), 4.0) == pytest.approx(4.02)


def test_the_strictest_limit_on_the_quality_is_the_target():
    def limit(bound: float, *, metric: str = "accuracy", upper: bool = False) -> Limit:
        return Limit(text=f"{metric} {bound}", metric=metric, upper=upper, bound=bound)

    limits = (limit(0.9), limit(0.95), limit(5, metric="latency_ms", upper=True), limit(0.99, upper=True))
    assert LadderSettings().target(ACCURACY, limits, 0.98) == 0.95


# -- order and end --------------------------------------------------------------------------------------


def test_the_most_gain_per_minute_comes_first_and_the_target_ends_it():
    bench = TableBench(quality=won_back(percentile=0.06), layer_groups=GROUPS, qat=True)
    found = climb(bench)
    assert [rung.name for rung in found.rungs] == [CALIBRATION]
    assert found.treatment == Treatment(calibration_method="percentile")
    first = found.rungs[0]
    assert (first.before, first.after, first.kept) == (0.93, 0.99, True)
    # Five tries: two more draws, two more methods, and more samples.
    assert first.predicted_seconds == 5 * 2.0
    assert first.predicted_gain == pytest.approx(SHARES[CALIBRATION] * 0.06)
    assert first.seconds == 3 * 2.0, "it ended at the method that reached the target"


def test_a_dear_training_is_put_off_and_a_cheap_one_comes_first():
    slow = StageSeconds(compile=1.0, score=1.0, measure=1.0, epoch=8.0)
    quick = StageSeconds(compile=5.0, score=1.0, measure=1.0, epoch=0.5)
    orders = []
    for seconds in (slow, quick):
        bench = TableBench(quality=won_back(), layer_groups=FOUR, qat=True, seconds=seconds)
        orders.append([rung.name for rung in climb(bench).rungs])
    assert orders == [[MIXED, CALIBRATION, QAT], [QAT, MIXED, CALIBRATION]]


def test_what_the_rungs_win_back_adds_up():
    bench = TableBench(quality=won_back(percentile=0.02, qat=0.06), qat=True, candidate=INT8, layer_groups=())
    found = climb(bench)
    assert [(rung.name, rung.kept) for rung in found.rungs] == [(CALIBRATION, True), (QAT, True)]
    assert found.treatment == Treatment(calibration_method="percentile", qat=PLAN)
    assert found.rungs[1].before == pytest.approx(0.95)
    assert found.rungs[1].simulated == pytest.approx(0.991)
    assert found.notes[-1] == (
        "quantization lost 6 pt of accuracy, won back 6 pt (calibration, qat); "
        "the target of 98.50 % was reached"
    )


def test_a_gain_beyond_the_loss_is_put_down_to_longer_training():
    bench = TableBench(quality=lambda treatment: 0.995 if treatment.qat else 0.93, candidate=INT4, qat=True)
    told = climb(bench).notes[-1]
    assert "won back 6.5 pt (qat), more than was lost: part of it is longer training" in told


def test_a_precision_without_calibration_has_no_such_rung():
    bench = TableBench(quality=won_back(qat=0.06), candidate=INT4, qat=True)
    assert [rung.name for rung in climb(bench).rungs] == [QAT]


def test_what_wins_nothing_back_is_in_the_record_and_not_kept():
    found = climb(TableBench(quality=won_back(), qat=True))
    assert [(rung.name, rung.kept) for rung in found.rungs] == [(CALIBRATION, False), (QAT, False)]
    assert found.treatment == UNTREATED
    assert "nothing of it was won back" in found.notes[-1]


def test_rungs_can_be_left_out():
    bench = TableBench(quality=won_back(), layer_groups=FOUR, qat=True)
    assert [rung.name for rung in climb(bench, rungs=(QAT,)).rungs] == [QAT]
    assert climb(bench, rungs=()) == Climb(treatment=UNTREATED)


def test_nothing_is_climbed_that_promises_too_little_a_minute():
    bench = TableBench(quality=won_back(), qat=True)
    # 6 points are lost. A quarter of that in 10 s is 9 points a minute, seven tenths in 62 s are 4.
    assert [rung.name for rung in climb(bench, least_gain_per_minute=0.05).rungs] == [CALIBRATION]
    assert climb(bench, least_gain_per_minute=0.2).rungs == ()


def test_what_is_insisted_on_is_climbed_whatever_it_promises_but_nothing_is_trained_for_it():
    bench = TableBench(quality=won_back(), layer_groups=GROUPS, qat=True)
    ladder = Ladder(LadderSettings(least_gain_per_minute=1e6))
    assert ladder.climb(bench, at(bench)).rungs == ()
    found = ladder.climb(bench, replace(at(bench), insists=True))
    assert {rung.name for rung in found.rungs} == {CALIBRATION, MIXED}
    assert found.treatment == UNTREATED


def test_the_time_cap_ends_the_climb():
    bench = TableBench(quality=won_back(), layer_groups=FOUR, qat=True)
    found = Ladder(LadderSettings()).climb(bench, at(bench, seconds=9.0))
    names = [rung.name for rung in found.rungs]
    assert QAT not in names, "the epochs alone are predicted to take 60 s"
    assert bench.clock <= 9.0 + 2 * 2.0, "a try that has begun is finished, and what it needs"
    assert Ladder(LadderSettings()).climb(bench, at(bench, seconds=0.0)).rungs == ()


def test_a_rung_that_fails_costs_itself_alone():
    def quality(treatment: Treatment) -> float:
        if treatment.qat:
            raise StageError("qat", "the loss is nan in epoch 1 of 4")
        return won_back(percentile=0.02)(treatment)

    found = climb(TableBench(quality=quality, qat=True))
    assert [(rung.name, rung.kept) for rung in found.rungs] == [(CALIBRATION, True), (QAT, False)]
    assert "the loss is nan in epoch 1 of 4" in found.rungs[1].detail
    assert found.treatment == Treatment(calibration_method="percentile")


def test_a_calibration_that_breaks_the_model_is_passed_over():
    def quality(treatment: Treatment) -> float:
        if treatment.calibration_draw:
            raise StageError("compile", "artifact disagrees with the float model: SQNR 3.0 dB")
        return won_back(percentile=0.06)(treatment)

    found = climb(TableBench(quality=quality), rungs=(CALIBRATION,))
    assert found.treatment == Treatment(calibration_method="percentile")
    assert "percentile on 128 samples; 2 more could not be compiled or run" in found.rungs[0].detail
    assert not any("draws" in note for note in found.notes)


@pytest.mark.parametrize("error", [Interrupted("the time is used up"), UserError("the disk is full")])
def test_what_concerns_the_whole_study_ends_the_climb(error: Exception):
    def quality(treatment: Treatment) -> float:
        if treatment != UNTREATED:
            raise error
        return 0.93

    with pytest.raises(type(error), match=str(error)):
        climb(TableBench(quality=quality))


# -- calibration ----------------------------------------------------------------------------------------


def test_all_draws_are_tried_and_their_spread_is_told():
    bench = TableBench(quality=won_back(draw=0.03))
    found = climb(bench, rungs=(CALIBRATION,), draws=3)
    assert [t.calibration_draw for t in bench.tries] == [1, 2]
    assert found.notes[0] == "3 draws of 128 calibration samples: accuracy 93.00 % to 99.00 %"
    assert found.treatment == Treatment(calibration_draw=2)


def test_a_split_that_is_taken_whole_has_no_draws_and_no_more_samples():
    bench = TableBench(quality=won_back(), total=128)
    climb(bench, rungs=(CALIBRATION,))
    assert bench.tries == [Treatment(calibration_method=name) for name in ("percentile", "entropy")]
    bench = TableBench(quality=won_back(), total=128, methods=("minmax",))
    assert climb(bench, rungs=(CALIBRATION,)).rungs == (), "there is nothing to try"


def test_more_samples_come_last():
    bench = TableBench(quality=won_back(samples=0.06))
    found = climb(bench, rungs=(CALIBRATION,))
    assert bench.tries[-1] == found.treatment == Treatment(calibration_samples=512)


def test_of_equal_qualities_the_one_nearest_to_the_float_model_leads_on():
    bench = TableBench(
        quality=lambda t: 0.95 if t.calibration_draw else 0.93,
        noise=lambda t: {0: 0.01, 1: 0.02, 2: 0.005}[t.calibration_draw],
    )
    climb(bench, rungs=(CALIBRATION,))
    assert Treatment(calibration_draw=2, calibration_method="percentile") in bench.tries


# -- mixed precision ------------------------------------------------------------------------------------


def noise_by_layer(**power: float):
    return lambda t: 1e-6 + sum(v for name, v in power.items() if name not in t.keep_float)


def test_layers_are_reverted_until_the_target_is_reached():
    bench = TableBench(
        quality=won_back(layer0=0.01, layer2=0.045, layer3=0.005),
        noise=noise_by_layer(layer0=0.002, layer2=0.007, layer3=0.001),
        layer_groups=FOUR,
    )
    found = climb(bench, rungs=(MIXED,))
    assert found.treatment == Treatment(keep_float=("layer2", "layer0"))
    assert found.rungs[0].after == pytest.approx(0.985)
    assert "2 of 4 groups of layers in float (layer2, layer0)" in found.rungs[0].detail
    assert "latency 1 to 1.2 ms, size 100 to 120 kB" in found.rungs[0].detail


class NeedsTwo(TableBench):
    """An artifact that disagrees with its float model until two groups are in float; what is looked at on the
    way is not compared with it."""

    def score(self, treatment, first=0):
        if not first and len(treatment.keep_float) < 2:
            raise StageError("compile", "disagrees", disagrees=True)
        return super().score(treatment, first)


def test_one_group_that_does_not_mend_a_broken_artifact_alone_does_so_with_another():
    noise = noise_by_layer(layer0=0.002, layer2=0.007)
    bench = NeedsTwo(quality=won_back(layer0=0.01, layer2=0.045), noise=noise, layer_groups=FOUR)
    standing = at(TableBench(quality=bench.quality, noise=noise))
    found = Ladder(LadderSettings(rungs=(MIXED,))).climb(bench, standing)
    assert found.treatment == Treatment(keep_float=("layer2", "layer0"))


def test_a_mixed_artifact_that_a_float_one_equals_is_not_kept():
    bench = TableBench(
        quality=won_back(layer2=0.06),
        noise=noise_by_layer(layer2=0.01),
        layer_groups=FOUR,
        floats={
            "fp32": Cost(latency_ms=2.0, size_bytes=400e3),
            "fp16": Cost(latency_ms=1.0, size_bytes=90e3),
        },
    )
    found = climb(bench, rungs=(MIXED,))
    assert (found.treatment, found.rungs[0].kept, found.rungs[0].after) == (UNTREATED, False, 0.99)
    assert "not kept, all of it in fp16 is as fast and as small" in found.notes[0]


def test_a_mixed_artifact_that_is_dominated_by_now_is_not_kept():
    bench = TableBench(
        quality=won_back(layer2=0.06), noise=noise_by_layer(layer2=0.01), layer_groups=FOUR, dominated=True
    )
    found = climb(bench, rungs=(MIXED,))
    assert found.treatment == UNTREATED
    assert "another known candidate is better in everything" in found.rungs[0].detail


def test_a_single_group_is_no_mixture():
    assert climb(TableBench(quality=won_back(), layer_groups=FOUR[:1]), rungs=(MIXED,)).rungs == ()


def test_training_makes_reverted_layers_needless_where_it_reaches_the_target_alone():
    seconds = StageSeconds(compile=1.0, score=1.0, measure=1.0, epoch=8.0)
    parts = {"layer2": 0.02, "qat": 0.06}
    bench = TableBench(
        quality=won_back(**parts),
        noise=noise_by_layer(layer2=0.01),
        layer_groups=FOUR,
        qat=True,
        seconds=seconds,
        candidate=INT4,
    )
    found = climb(bench)
    assert [(rung.name, rung.kept) for rung in found.rungs] == [(MIXED, True), (QAT, True)]
    assert found.treatment == Treatment(qat=PLAN)
    parts["qat"] = 0.03
    bench = TableBench(
        quality=won_back(**parts),
        noise=noise_by_layer(layer2=0.01),
        layer_groups=FOUR,
        qat=True,
        seconds=seconds,
        candidate=INT4,
    )
    assert climb(bench).treatment == Treatment(keep_float=("layer2",), qat=PLAN)


# -- experience and record ------------------------------------------------------------------------------


def evaluation(*rungs: LadderRung, candidate: Candidate = INT8) -> Evaluation:
    return Evaluation(
        candidate=candidate,
        outcome=Outcome.COMPLETE,
        ladder=rungs,
        float_quality=0.99,
        treatment=Treatment(calibration_draw=2, keep_float=("a", "b"), qat=PLAN),
    )


def rung(name: str, after: float, *, kept: bool = True, seconds: float = 10.0) -> LadderRung:
    return LadderRung(
        name=name,
        predicted_gain=0.01,
        predicted_seconds=10.0,
        seconds=seconds,
        before=0.95,
        after=after,
        kept=kept,
    )


def test_what_rungs_won_back_is_learned_by_backend_and_precision():
    experience = Experience()
    for _ in range(8):
        experience.learn(evaluation(rung(QAT, 0.95, kept=False, seconds=40.0)), ACCURACY)
    assert experience.share(QAT, "ort", Precision.INT8) == pytest.approx(SHARES[QAT] * 2 / 10)
    assert experience.share(QAT, "ort", Precision.INT4_WEIGHT) == SHARES[QAT]
    assert experience.share(QAT, "tflite", Precision.INT8) == SHARES[QAT]
    assert experience.pace(QAT) == pytest.approx((2 + 8 * 4) / 10)
    experience.learn(evaluation(rung(MIXED, 0.99)), ACCURACY)
    assert experience.share(MIXED, "ort", Precision.INT8) == pytest.approx((2 * SHARES[MIXED] + 1) / 3)


def test_earlier_climbs_change_the_order():
    ladder = Ladder(LadderSettings(rungs=(CALIBRATION, QAT)))
    bench = TableBench(quality=won_back(), qat=True)
    assert ladder.climb(bench, at(bench)).rungs[0].name == CALIBRATION
    for _ in range(6):
        ladder.learn(evaluation(rung(CALIBRATION, 0.95, kept=False)), ACCURACY)
    assert ladder.climb(bench, at(bench)).rungs[0].name == QAT


def test_treatment_and_rungs_survive_as_json():
    before = evaluation(rung(QAT, 0.98))
    assert EVALUATION.validate_json(EVALUATION.dump_json(before)) == before


def test_groups_may_hold_several_layers():
    pair = LayerGroup(name="conv+bn", layers=("layer2", "layer3"), weights=5)
    bench = TableBench(
        quality=won_back(layer2=0.03, layer3=0.03),
        noise=noise_by_layer(layer2=0.01),
        layer_groups=(FOUR[0], pair),
    )
    assert climb(bench, rungs=(MIXED,)).treatment.keep_float == ("layer2", "layer3")
