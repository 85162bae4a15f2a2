"""How good a training can still become: from curves of the same kind that went to their end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.gate.learning_curves import LearningCurves
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity, StageRecord, TrialRecord
from paretune.search.record.protocols import Milestone
from paretune.search.record.quality import QualityScale

ACCURACY = QualityScale(metric="accuracy", higher_is_better=True, is_share=True)
LOSS = QualityScale(metric="loss", higher_is_better=False, is_share=False)
CANDIDATE = Candidate(
    backend="ort",
    precision=Precision.FP32,
    student=(("width", 0.5),),
    sparsity="channel:0.5",
    recipe=Recipe(epochs=10, finetune_epochs=4),
)
Curve = tuple[tuple[int, float], ...]


def stage(key: str, curve: Curve, name: str = "distill") -> StageRecord:
    return StageRecord(name=name, key=key, cached=False, seconds=1.0, curve=curve)


def trial(*stages: StageRecord, **more: object) -> TrialRecord:
    values = {"outcome": Outcome.COMPLETE, "metrics": {"accuracy": Quantity(value=0.9)}, **more}
    evaluation = Evaluation(candidate=CANDIDATE, stages=stages, **values)
    return TrialRecord(number=0, evaluation=evaluation, started=0.0, seconds=1.0)


def curves(*records: TrialRecord, scale: QualityScale = ACCURACY) -> LearningCurves:
    found = LearningCurves(scale)
    for record in records:
        found.learn(record)
    return found


def milestone(quality: float, done: int = 5, kind: str = "distill") -> Milestone:
    epochs = 10 if kind == "distill" else 4
    return Milestone(key="now", kind=kind, epochs=epochs, curve=((1, 0.2), (done, quality)))


THREE = tuple(
    trial(stage(key, ((2, 0.5), (5, half), (10, 0.9))))
    for key, half in (("a", 0.88), ("b", 0.84), ("c", 0.86))
)


def value(known: LearningCurves, at: Milestone, margin: float = 0.01):
    bound = known.bound(at, margin)
    return None if bound is None else bound.value


def test_the_largest_gain_half_as_much_again_and_the_margin():
    bound = curves(*THREE).bound(milestone(0.7), 0.01)
    assert bound.value == pytest.approx(0.7 + 1.5 * 0.06 + 0.01)
    assert bound.beaten_by is None
    assert bound.basis == (
        "70.00 % after 5 of 10 epochs; none of 3 finished trainings gained more than 6 pt from there; "
        "1.5 times that and 1 pt margin"
    )


def test_two_finished_trainings_are_too_few_and_each_counts_once():
    assert curves(*THREE[:2]).bound(milestone(0.1), 0.01) is None
    assert curves(*THREE[:2], *THREE[:2]).bound(milestone(0.1), 0.01) is None


def test_a_training_that_was_given_up_has_no_end_but_those_before_it_have():
    given_up = trial(
        stage("c", ((2, 0.5), (5, 0.86), (10, 0.9))),
        stage("d", ((1, 0.5), (2, 0.6)), "prune"),
        outcome=Outcome.GATED,
        stopped_epoch=2,
    )
    assert value(curves(*THREE[:2], given_up), milestone(0.7)) == pytest.approx(0.8)
    pruned = [trial(stage(key, ((1, 0.5), (4, 0.6)), "prune")) for key in "ef"]
    assert value(curves(*pruned, given_up), milestone(0.5, 2, "prune")) is None
    ended = replace(given_up, evaluation=replace(given_up.evaluation, stopped_epoch=0))
    assert value(curves(*pruned, ended), milestone(0.5, 2, "prune")) == pytest.approx(0.5 + 1.5 * 0.1 + 0.01)


def test_kinds_are_kept_apart_and_places_are_shares_of_all_epochs():
    pruned = [trial(stage(key, ((2, 0.7), (8, 0.76)), "prune")) for key in "def"]
    known = curves(*THREE, *pruned)
    assert value(known, milestone(0.5, 1, "prune")) == pytest.approx(
        0.5 + 1.5 * 0.06 + 0.01
    )  # 1 of 4 is 2 of 8
    assert value(known, milestone(0.5, 2, "prune")) == pytest.approx(
        0.5 + 1.5 * 0.04 + 0.01
    )  # a third of the way
    assert value(known, milestone(0.5, 4, "prune")) == pytest.approx(0.51)
    assert value(curves(*THREE), milestone(0.5, 1, "prune")) is None


def test_curves_that_start_later_cannot_tell():
    late = [trial(stage(key, ((6, 0.8), (10, 0.9)))) for key in "xyz"]
    assert value(curves(*late), milestone(0.5, 5)) is None
    assert value(curves(*late), milestone(0.5, 6)) == pytest.approx(0.5 + 1.5 * 0.1 + 0.01)
    single = [trial(stage(key, ((10, 0.9),))) for key in "xyz"]
    assert value(curves(*single), milestone(0.5, 10)) is None


def test_trainings_that_became_worse_promise_no_loss():
    worse = [trial(stage(key, ((5, 0.9), (10, 0.8)))) for key in "xyz"]
    assert value(curves(*worse), milestone(0.5)) == pytest.approx(0.51)


def test_a_share_ends_at_one():
    assert value(curves(*THREE), milestone(0.95)) == 1.0


def test_where_lower_is_better_gains_are_taken_off():
    falling = [trial(stage(key, ((5, 0.6), (10, 0.4)))) for key in "xyz"]
    assert value(curves(*falling, scale=LOSS), milestone(0.9)) == pytest.approx(0.9 - 1.5 * 0.2 - 0.01)
    assert value(curves(*falling, scale=LOSS), milestone(0.1)) == pytest.approx(0.1 - 1.5 * 0.2 - 0.01)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_tell_nothing(bad):
    broken = trial(stage("c", ((2, bad), (5, 0.86), (10, 0.9))))
    assert value(curves(*THREE[:2], broken), milestone(0.7)) is None
    assert value(curves(*THREE), milestone(bad)) is None
