"""No tuning is begun that the budget has no time for, and the first one leaves half of it."""

from paretune.profiles.precision import Precision
from paretune.search.driver.budget import Budget
from paretune.search.driver.impossible import Impossible
from paretune.search.driver.tuning_time import TuningTime
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Outcome, TrialRecord

TEACHER = Candidate(backend="slow", precision=Precision.FP32)
STUDENT = Candidate(
    backend="slow", precision=Precision.FP32, student=(("width", 1),), recipe=Recipe(epochs=1)
)
OTHER = Candidate(backend="quick", precision=Precision.FP32)


class At:
    """A clock that says what it was set to."""

    now = 0.0

    def __call__(self):
        return self.now


def time_for(seconds, budget, reference=OTHER):
    clock = At()
    counted = Budget(trials=None, seconds=budget, clock=clock)
    counted.start()
    return clock, TuningTime({"slow": seconds}, counted, reference)


def test_the_teacher_may_take_half_of_what_is_left_and_others_all_of_it():
    clock, time = time_for(10.0, 30.0)
    asked = (TEACHER, STUDENT, OTHER)
    found = []
    for clock.now in (0.0, 10.5, 20.5):
        found.append([bool(time.lacking(candidate)) for candidate in asked])
    assert found == [[False] * 3, [True, False, False], [True, True, False]]


def test_the_reference_is_tuned_in_any_case_and_without_an_end_there_is_time():
    assert not time_for(10.0, 5.0, reference=TEACHER)[1].lacking(TEACHER)
    assert not time_for(10.0, None)[1].lacking(TEACHER)


def test_running_short_is_told_once():
    clock, time = time_for(10.0, 30.0)
    assert not time.newly_short()
    clock.now = 25.0
    assert [time.newly_short(), time.newly_short()] == [True, False]


def test_what_there_is_no_time_for_is_gated_and_masks_nothing():
    clock, time = time_for(10.0, 30.0)
    impossible = Impossible(lacking=time.lacking)
    assert impossible.refusal(STUDENT) is None
    clock.now = 25.0
    ended = impossible.refusal(STUDENT)
    assert ended.outcome is Outcome.GATED
    assert ended.reason == time.lacking(STUDENT)
    for number in range(3):
        cause = Evaluation(candidate=STUDENT, outcome=Outcome.FAILED, stage="tune", cause="nothing was found")
        assert not impossible.learn(TrialRecord(number=number, evaluation=cause, started=0.0, seconds=1.0))
    assert not impossible.masked
    assert not impossible.holds(OTHER)
