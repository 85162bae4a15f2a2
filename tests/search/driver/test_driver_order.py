"""What a driver does first and last, on an evaluator that answers from a rule and keeps an account."""

from dataclasses import replace

import optuna
import pytest
from optuna.samplers import RandomSampler
from paretune.profiles.precision import Precision
from paretune.search.driver.budget import Budget
from paretune.search.driver.driver import Driver
from paretune.search.driver.parts import DriverParts
from paretune.search.driver.plan import SearchPlan
from paretune.search.driver.search import Search
from paretune.search.ranking.reading import read
from paretune.search.record.candidate import Recipe
from paretune.search.record.evaluation import (
    Evaluation,
    Finalist,
    Objective,
    Outcome,
    Quantity,
    StageRecord,
    StudyRecord,
)
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import Hardware
from paretune.search.record.stops import Interrupted
from paretune.search.space.space import BackendChoices, Space
from paretune.search.storage.study_store import StudyStore

OBJECTIVES = (
    Objective(metric="accuracy", higher_is_better=True),
    Objective(metric="latency_ms", higher_is_better=False),
)
PRECISIONS = (Precision.FP32, Precision.INT8, Precision.INT8_DYNAMIC, Precision.INT4_WEIGHT)
BROKEN = Precision.INT16X8
LATENCY = {Precision.FP32: 4.0, Precision.INT8: 2.0, Precision.INT8_DYNAMIC: 1.0, Precision.INT4_WEIGHT: 3.0}


class Rule:
    """An evaluator: latency by precision alone, a second for each thing that is done. The time of the budget
    ends in the measurement number `ends_in`."""

    def __init__(self, ends_in=None):
        self.account, self.clock, self.measured, self.ends_in = [], 0.0, 0, ends_in

    def now(self):
        return self.clock

    def prepare_reference(self, candidate):
        pass

    def hardware(self, candidate, standard):
        self.clock += 1
        self.measured += 1
        self.account.append(("measured", candidate.title))
        if self.measured == self.ends_in:
            self.clock += 1000
            raise Interrupted("the time is used up")
        return Hardware(metrics={"latency_ms": self._latency(candidate)})

    def evaluate(self, candidate, judge, *, baseline=False):
        self.clock += 1
        self.account.append(("evaluated", candidate.title))
        if candidate.precision is BROKEN:
            ended = Evaluation(candidate=candidate, outcome=Outcome.FAILED, stage="compile", cause="ranks")
            return replace(ended, baseline=baseline)
        metrics = {"accuracy": Quantity(value=0.9), "latency_ms": self._latency(candidate)}
        self.clock += 1
        stages = tuple(
            StageRecord(name=name, key=candidate.digest, cached=False, seconds=1.0)
            for name in ("score", "measure")
        )
        return Evaluation(
            candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, baseline=baseline, stages=stages
        )

    def test_score(self, evaluation):
        return Quantity(value=0.9)

    def finalists(self, record, numbers, *, rounds, seed):
        self.account.append(("finalists", numbers))
        self.clock += 3.0 * len(numbers)  # in twice as many rounds, on as many samples
        known = {trial.number: trial.evaluation.metrics for trial in record.trials}
        return tuple(Finalist(number=n, metrics=known[n]) for n in numbers)

    def _latency(self, candidate):
        value = LATENCY[candidate.precision]
        return Quantity(value=value, low=0.99 * value, high=1.01 * value)


class Guide(RandomSampler):
    """A sampler that measures one student before each of its proposals."""

    def __init__(self, space):
        super().__init__(seed=0)
        self.students = [c for c in space.candidates() if c.student]
        self.asked = False

    def wants(self, study, *, survey=True):
        self.asked = not self.asked
        return self.students[0] if self.asked else None

    def exclude(self, impossible):
        self.impossible = impossible

    def learn_hardware(self, candidate, hardware, seconds=0.0):
        pass

    def end(self, candidate):
        pass

    def proposal(self, number):
        return None

    def finished(self):
        return ""

    def pays_to_go_on(self):
        return False

    remarks = ()


def space(precisions=PRECISIONS):
    backend = BackendChoices(
        name="toy", precisions=precisions, calibration_methods=("minmax",), sparsities=("dense",)
    )
    return Space(
        backends=(backend,),
        student_axes={"width": (4, 8, 16, 32)},
        temperatures=(4.0,),
        weights=(0.7,),
        calibration_samples=(16,),
        per_channel=(True,),
        recipe=Recipe(epochs=2),
    )


def driven(evaluator, trials=None, seconds=None, whole=None):
    whole = whole or space()
    frame = StudyRecord(
        name="s", study_text="", workload="w", profile="p", quality="accuracy", objectives=OBJECTIVES,
        limits=(), trials=(),
    )  # fmt: skip
    plan = SearchPlan(
        space=whole, limits=(), finalists=2, finalist_rounds=18, seed=0, frame=frame, more_rounds=2.0
    )
    guide = Guide(whole)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=guide)
    studies = StudyStore(study, tuple(o.metric for o in OBJECTIVES))
    budget = Budget(trials=trials, seconds=seconds, clock=evaluator.now)
    search = Search(guide, guide=guide)
    return Driver(DriverParts(plan, evaluator, search, studies, budget, Progress())).run()


def test_the_usual_simple_choices_are_evaluated_before_anything_is_measured_ahead():
    evaluator = Rule()
    driven(evaluator, trials=6)
    first = [what for what, _ in evaluator.account[:2]]
    assert first == ["evaluated", "evaluated"]
    assert [t for _, t in evaluator.account[:2]] == ["teacher, fp32, toy", "teacher, int8 (minmax 16), toy"]


@pytest.mark.parametrize(("trials", "tried"), [(4, 2), (6, 3), (8, 4)])
def test_further_simple_choices_take_half_of_the_budget_and_what_is_left_is_named(trials, tried):
    record = driven(Rule(), trials=trials)
    first = [t.evaluation for t in record.trials[:tried]]
    assert all(e.baseline and e.candidate.is_teacher for e in first)
    simple = {c.title for c in space().baselines()}
    seen = {t.evaluation.candidate.title for t in record.trials}
    assert set(record.untried) == simple - seen
    assert all(t.evaluation.baseline == t.evaluation.candidate.is_teacher for t in record.trials)


def test_where_all_simple_choices_are_known_none_is_untried():
    record = driven(Rule(), trials=30)
    assert record.untried == ()
    fastest = next(t.number for t in record.trials if t.evaluation.candidate.precision == "int8-dynamic")
    assert record.baseline == fastest


def test_a_time_that_ends_inside_a_measurement_leaves_the_finalists():
    evaluator = Rule(ends_in=2)
    record = driven(evaluator, seconds=100)
    assert evaluator.account[-1][0] == "finalists"
    assert {f.number for f in record.finalists} <= {t.number for t in record.trials}
    assert record.finalists
    assert record.stopped == "the time is used up"


def test_a_budget_of_time_holds_the_finalists_too():
    evaluator = Rule()
    record = driven(evaluator, seconds=30)
    assert len(record.finalists) >= 2
    assert record.counters["candidates"] >= 4
    assert evaluator.now() <= 30 + 3, "what was under way is finished"


def test_a_precision_that_fails_whatever_the_student_is_worked_on_twice_and_masked_in_the_record():
    evaluator = Rule()
    record = driven(evaluator, trials=60, whole=space((*PRECISIONS, BROKEN)))
    tried = [title for what, title in evaluator.account if what == "evaluated" and "int16x8" in title]
    assert len(tried) == 2
    assert [(m.backend, m.what) for m in record.masked] == [("toy", "int16x8")]
    others = [t.evaluation for t in record.trials if t.evaluation.outcome is Outcome.REFUSED]
    assert all(e.candidate.precision is BROKEN and "ranks" in e.reason for e in others)


def test_a_record_of_an_earlier_version_has_nothing_untried():
    from paretune.search.record.evaluation import STUDY_RECORD

    record = replace(driven(Rule(), trials=3), importances={})
    plain = STUDY_RECORD.dump_python(record, mode="json")
    del plain["untried"]
    assert STUDY_RECORD.validate_python(plain).untried == ()


def test_the_verdict_names_the_simple_choices_that_were_not_tried():
    record = driven(Rule(), trials=4)
    said = "\n".join(read(record).verdict.lines)
    assert record.untried
    assert all(title in said.partition("untried")[2] for title in record.untried)
    assert "untried" not in "\n".join(read(driven(Rule(), trials=30)).verdict.lines)
