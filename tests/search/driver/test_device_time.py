"""Nothing is begun that cannot end: what a budget keeps free, by what a device has shown."""

from dataclasses import replace
from math import inf

import pytest
from paretune.backends.measure.samples import LatencyPlan
from paretune.profiles.devices.shown import COMPILE, MEASURE, SCORE, TRAINING
from paretune.profiles.errors import StageError, UserError
from paretune.profiles.precision import Precision
from paretune.search.driver.budget import Budget
from paretune.search.driver.device_time import DeviceTime, seen_in
from paretune.search.driver.simple_choices import SimpleChoices
from paretune.search.evaluation.finalist_effort import LEAST_SAMPLES, FinalistPace, effort_within
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Outcome, StageRecord, TrialRecord
from paretune.search.record.protocols import Hardware, Standard
from paretune.search.record.stops import Interrupted
from paretune.search.space.space import BackendChoices, Space
from paretune.search.stages.device.effort import Effort, ReferencePace, as_probe

TEACHER = Candidate(backend="b", precision=Precision.FP32)
INT8 = Candidate(backend="b", precision=Precision.INT8)
FURTHER = Candidate(backend="b", precision=Precision.INT8_DYNAMIC)
SPACE = Space(
    backends=(
        BackendChoices(
            name="b",
            precisions=(Precision.FP32, Precision.INT8),
            calibration_methods=("minmax",),
            sparsities=("dense",),
        ),
    ),
    student_axes={},
    temperatures=(4.0,),
    weights=(0.7,),
    calibration_samples=(16,),
    per_channel=(False,),
    recipe=Recipe(epochs=1),
)
STUDENT = Candidate(backend="b", precision=Precision.FP32, student=(("width", 1),), recipe=Recipe(epochs=1))


class At:
    """A clock that says what it was set to."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return At()


@pytest.fixture
def budget(clock):
    made = Budget(trials=None, seconds=100.0, clock=clock)
    made.start()
    return made


def simple(candidate, **seconds):
    found = trial(candidate, **seconds)
    return replace(found, evaluation=replace(found.evaluation, baseline=True))


def trial(candidate, *, cached=(), outcome=Outcome.COMPLETE, **seconds):
    stages = tuple(StageRecord(name=n, key=n, cached=n in cached, seconds=s) for n, s in seconds.items())
    return TrialRecord(
        number=0,
        evaluation=Evaluation(candidate=candidate, outcome=outcome, stages=stages),
        started=0.0,
        seconds=1.0,
    )


def test_what_takes_longer_than_is_left_is_not_begun(clock, budget):
    clock.now = 70.0
    budget.afford(29.0, "scoring")
    with pytest.raises(Interrupted):
        budget.afford(31.0, "scoring")
    budget.reserve = 10.0
    with pytest.raises(Interrupted):
        budget.afford(29.0, "scoring")


def test_what_has_to_be_done_may_exceed_it_but_not_the_whole_budget(clock, budget):
    clock.now = 99.0
    with budget.untimed():
        budget.afford(90.0, "scoring")
        with pytest.raises(UserError) as caught:
            budget.afford(101.0, "scoring it on 360 samples")
    assert "360" in caught.value.found
    assert "budget" in caught.value.remedy
    Budget(trials=1, seconds=None).afford(1e9, "anything")
    hurried = Budget(trials=None, seconds=0.001)
    with hurried.untimed():
        hurried.afford(20.0, "scoring it on 32 samples")


def test_no_candidate_is_begun_that_would_not_end(clock, budget):
    time = DeviceTime(budget, TEACHER)
    clock.now = 85.0
    assert not budget.exhausted(1)
    time.learn(trial(STUDENT, distill=50.0, compile=1.0, score=10.0, measure=9.0))
    assert budget.exhausted(1)
    clock.now = 75.0
    assert not budget.exhausted(1)


def test_a_training_ends_while_there_is_time_for_what_follows_it(clock, budget):
    time = DeviceTime(budget, TEACHER)
    time.learn(trial(STUDENT, compile=1.0, score=10.0, measure=9.0))
    found = []
    for clock.now in (79.0, 81.0):
        found.append(budget.out_of_time)
    assert found == [False, True]


def test_what_came_from_the_store_or_was_not_completed_tells_nothing(clock, budget):
    time = DeviceTime(budget, TEACHER)
    time.learn(trial(STUDENT, cached=("score",), compile=1.0, score=0.0, measure=9.0))
    time.learn(trial(STUDENT, outcome=Outcome.FAILED, score=10.0, measure=9.0))
    assert (budget.least, budget.rest) == (0.0, 0.0)


def test_simple_choices_are_left_out_where_the_teacher_takes_longer_than_is_left(clock, budget):
    time = DeviceTime(budget, TEACHER)
    time.learn(trial(TEACHER, compile=1.0, score=40.0, measure=9.0))
    assert time.in_time([TEACHER, INT8]) == (TEACHER, INT8)
    clock.now = 60.0
    assert time.in_time([TEACHER, INT8]) == (TEACHER,)
    assert not budget.exhausted(1)  # a student may be quicker by far


def test_simple_choices_come_before_the_search_where_they_take_next_to_nothing_of_the_time(clock, budget):
    time = DeviceTime(budget, TEACHER)
    time.learn(simple(TEACHER, compile=0.4, score=0.2, measure=0.4))
    assert time.first([TEACHER, INT8]) == (TEACHER, INT8)  # 2 of 100 s
    assert time.first([TEACHER, INT8, FURTHER]) == (TEACHER,)
    assert DeviceTime(Budget(trials=10, seconds=None), TEACHER).first([INT8] * 9) == (INT8,) * 9


def test_within_the_search_simple_choices_take_a_share_of_the_time_that_has_passed(clock, budget):
    time = DeviceTime(budget, TEACHER)
    time.learn(simple(TEACHER, export=1.0, compile=1.0, score=1.0, measure=1.0))

    def affords(*left):
        return time.affords(left, 5, usual=SimpleChoices(SPACE).is_usual(left[0]))

    usual = SPACE.usual_choices()[-1]

    clock.now = 19.0
    assert not affords(usual, FURTHER)  # the next one would take 3 s
    clock.now = 20.5
    assert affords(usual, FURTHER)
    assert not affords(FURTHER, FURTHER)  # everybody tries the usual ones first
    time.learn(simple(INT8, compile=1.0, score=1.0, measure=0.0))
    clock.now = 39.0
    assert not affords(FURTHER, FURTHER)
    clock.now = 49.0
    assert affords(FURTHER, FURTHER)
    clock.now = 90.0
    assert affords(usual)
    assert not affords(FURTHER, FURTHER)  # in the second half the search has all the time
    without_time = DeviceTime(Budget(trials=10, seconds=None), TEACHER)
    further = [without_time.affords([FURTHER], count, usual=False) for count in (4, 5)]
    assert further == [True, False]


class Evaluator:
    def __init__(self, clock, seconds, fails=None):
        self.clock, self.seconds, self.fails = clock, seconds, fails

    def hardware(self, candidate, standard):
        self.clock.now += self.seconds
        if self.fails:
            raise self.fails
        return Hardware()


def test_first_measurements_have_a_share_of_the_time_and_tell_the_least_of_a_candidate(clock, budget):
    time = DeviceTime(budget, TEACHER)
    assert time.probe(Evaluator(clock, 6.0), STUDENT, Standard())[1] == 6.0
    assert time.surveying
    crashed = StageError("measure", "crashed")
    hardware, _ = time.probe(Evaluator(clock, 5.0, fails=crashed), STUDENT, Standard())
    assert hardware.refused
    assert not time.surveying
    assert (time.probes, budget.least) == (2, 6.0)


def test_a_measurement_that_something_from_outside_ended_says_nothing_of_its_class(clock, budget):
    time = DeviceTime(budget, TEACHER)
    lost = StageError("measure", "the line was lost", outside=True, device="board")
    assert time.probe(Evaluator(clock, 5.0, fails=lost), STUDENT, Standard()) == (None, 5.0)


def test_what_is_kept_for_later_studies_is_what_was_done_now():
    seen = seen_in(
        [
            trial(STUDENT, distill=5.0, prune=2.0, compile=1.0, score=10.0, measure=9.0),
            trial(STUDENT, cached=("distill", "score"), distill=0.0, score=0.0, measure=8.0),
        ]
    )
    assert seen == {COMPILE: [1.0], SCORE: [10.0], MEASURE: [9.0, 8.0], TRAINING: [7.0]}


# -- how thoroughly --------------------------------------------------------------------------------------


@pytest.mark.parametrize("run_s", [1e-5, 1e-3, 0.1, 0.367])
@pytest.mark.parametrize("open_s", [0.2, 5.0, 20.0])
def test_measuring_is_fitted_to_the_budget_and_says_so(run_s, open_s):
    plan, told = LatencyPlan(), []
    effort = Effort(360.0, tell=told.append)
    found = effort.of_reference(plan, ReferencePace(run_s=run_s, open_s=open_s))
    assert bool(effort.shortened) == bool(told) == (found != plan)
    assert found.processes in (1, 3, plan.processes)
    assert (found.processes - 1) * open_s <= 10.8
    assert Effort(None).of_reference(plan, ReferencePace(run_s=run_s, open_s=open_s)) == plan


class Model:
    """Its first run is slow, as runtimes prepare themselves in it."""

    def __init__(self, run_ms):
        self.run_ms = run_ms

    def sample(self, loops, count):
        return [round(loops * self.run_ms * 1e6)] * count


@pytest.mark.parametrize(("run_ms", "ends"), [(0.1, True), (9.9, True), (10.1, False), (400.0, False)])
def test_a_slow_first_run_alone_keeps_nothing_from_being_scored(budget, run_ms, ends):
    effort = Effort(100.0, budget.afford)
    asked = []
    for _ in range(2):
        try:
            effort.before_scoring(Model(run_ms), 500.0, 10_000, 1)
            asked.append(True)
        except Interrupted:
            asked.append(False)
    assert asked == [ends, ends]


def test_a_quick_device_is_measured_as_the_study_file_says():
    effort = Effort(600.0)
    assert effort.of_reference(LatencyPlan(), ReferencePace(run_s=0.001, open_s=0.3)) == LatencyPlan()


def test_where_the_budget_is_small_candidates_are_looked_at_briefly_and_percentiles_have_their_rounds():
    pace, told = ReferencePace(run_s=0.001, open_s=0.3), []
    found = Effort(180.0, tell=told.append).of_reference(LatencyPlan(), pace)
    assert found == as_probe(LatencyPlan())
    assert "9 rounds of 6 ms instead of 25" in told[0]
    hurried = Effort(60.0).of_reference(LatencyPlan(), pace)
    assert hurried == replace(found, block_ms=4.0, warm_up_s=0.05)
    wanted = LatencyPlan(rounds=240)
    assert Effort(60.0).of_reference(wanted, pace).rounds == 240
    fewest = Effort(60.0, tell=told.append).of_reference(LatencyPlan(rounds=9, processes=1), pace)
    assert told[-1].startswith(f"measured with rounds of {fewest.block_ms:g} ms instead of 15 ms: a run of")


@pytest.mark.parametrize("run_s", [1e-4, 0.1, 0.367])
@pytest.mark.parametrize("seconds", [30.0, 180.0])
@pytest.mark.parametrize("local", [True, False])
def test_finalists_are_checked_in_the_time_that_is_left(run_s, seconds, local):
    pace = FinalistPace(runs_s=(run_s,) * 3, open_s=1.0, batch=1, local=local)
    plan = LatencyPlan(rounds=40)
    found = effort_within(seconds, pace, plan, 1000)
    scoring = pace.scoring_s(found.first or 1000)
    assert scoring <= 0.5 * seconds or found.first == LEAST_SAMPLES
    less = found.first > 0 or found.plan != plan
    assert bool(found.shortened) == less
    assert effort_within(inf, pace, plan, 1000).plan == plan


def test_a_quick_device_checks_finalists_as_the_study_file_says():
    pace = FinalistPace(runs_s=(0.001,) * 3, open_s=0.3, batch=1, local=True)
    found = effort_within(120.0, pace, LatencyPlan(rounds=40), 1000)
    assert (found.first, found.plan, found.shortened) == (0, LatencyPlan(rounds=40), "")
