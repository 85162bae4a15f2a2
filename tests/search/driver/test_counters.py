"""What a study has counted, as its trials end."""

from __future__ import annotations

from paretune.profiles.precision import Precision
from paretune.search.driver.counters import MEASURED_PER_TRIAL, Counters
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, StageRecord, TrialRecord
from paretune.search.record.training import DISTILL
from paretune.search.record.treatment import QAT


def trial(number: int, *stages: StageRecord, outcome: Outcome = Outcome.COMPLETE, **fields) -> TrialRecord:
    candidate = Candidate(backend="ort", precision=Precision.FP32, student=(("width", number),))
    evaluation = Evaluation(candidate=candidate, outcome=outcome, stages=stages, **fields)
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def stage(key: str, name: str = DISTILL, *, cached: bool = False) -> StageRecord:
    return StageRecord(name=name, key=key, seconds=2.0, cached=cached)


def test_a_training_that_was_paused_and_gone_on_with_is_one_candidate_in_two_parts():
    paused = trial(0, stage("a"), outcome=Outcome.GATED, paused=True, stopped_epoch=3)
    whole, other = trial(0, stage("a"), stage("b", QAT)), trial(1, stage("a", cached=True))
    counted = Counters()
    counted.add(paused)
    assert counted.shown(trials=1, space=9, measured=0)["paused"] == counted.evaluated == 1
    counted.add(whole, instead_of=paused)
    counted.add(other)
    found = counted.shown(trials=4, space=9, measured=5, waited=0.2)
    assert found == Counters([whole, other], [paused]).shown(trials=4, space=9, measured=5)
    assert (found["candidates"], found["duplicates"], found["paused"], found["gated"]) == (2, 1, 0, 0)
    assert (found["trainings"], found["qat_trainings"], found["training_seconds"]) == (1, 1, 6.0)
    assert (found["trainings_used"], found["trainings_asked"]) == (1, 3)
    assert counted.evaluated == found["complete"] == 2


def test_what_was_only_measured_costs_a_part_and_what_cannot_exist_nothing():
    gated = [trial(number, outcome=Outcome.GATED) for number in range(MEASURED_PER_TRIAL + 1)]
    assert Counters(gated).evaluated == 1
    assert Counters([*gated, trial(50, outcome=Outcome.REFUSED)]).evaluated == 1
