"""What a study will take, by what its device has shown."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from paretune.profiles.devices.shown import COMPILE, FINALIST, MEASURE, SCORE, START, TRAINING, Shown
from paretune.search.job.expected import USUAL_SECONDS, Basis, expected


@dataclass
class Splits:
    validation: range = range(100)
    test: range = range(200)


@dataclass
class Space:
    size: int = 50
    trained: int = 4

    def trainings(self):
        return range(self.trained)


def job(profile="board", trials=10, settings=0, **space):
    measure = SimpleNamespace(rounds=25, finalist_rounds=50)
    budget = SimpleNamespace(trials=trials, time=None)
    return SimpleNamespace(
        file=SimpleNamespace(budget=budget, finalists=3, measure=measure),
        space=Space(**space),
        loaded=SimpleNamespace(workload=SimpleNamespace(name="blobs"), splits=Splits()),
        profile=SimpleNamespace(name=profile),
        axes=lambda: SimpleNamespace(most=lambda space: settings),
    )


def shown(workload="blobs", **seconds):
    names = {name: tuple(of) for name, of in seconds.items()}
    return Shown(seconds={workload: names})


SEEN = {COMPILE: [1.0], SCORE: [10.0, 30.0, 20.0], MEASURE: [5.0, 5.0, 9.0]}


def test_earlier_studies_of_the_workload_tell():
    found = expected(job(), shown(**SEEN, **{TRAINING: [8.0, 12.0], FINALIST: [70.0]}))
    assert (found.basis, found.candidate_s, found.seen) == (Basis.WORKLOAD, 26.0, 3)
    assert (found.finalist_s, found.finalists) == (70.0, 4)
    assert (found.training_s, found.trainings) == (10.0, 4)
    assert found.total_s == 10 * 26.0 + 4 * 70.0 + 4 * 10.0


def test_settings_of_finalists_are_in_the_whole_where_they_are_tried():
    seen = shown(**SEEN, **{TRAINING: [8.0], FINALIST: [70.0]})
    without, found = expected(job(), seen), expected(job(settings=9), seen)
    assert without.options_s == 0
    assert found.options_s >= 4 * 9 * 5.0
    assert found.total_s == without.total_s + found.options_s


def test_finalists_take_as_many_times_as_long_as_they_are_checked_more():
    assert expected(job(), shown(**SEEN)).finalist_s == 2 * 20.0 + 2 * 5.0


def test_without_a_training_that_was_seen_the_whole_is_not_known():
    assert expected(job(), shown(**SEEN)).total_s is None
    assert expected(job(trained=0), shown(**SEEN)).total_s is not None


def test_other_workloads_tell_where_this_one_was_not_seen():
    found = expected(job(), shown("other", **SEEN))
    assert (found.basis, found.candidate_s, found.seen) == (Basis.OTHERS, 26.0, 3)


@pytest.mark.parametrize(
    ("profile", "known", "basis", "candidate_s"),
    [
        ("board", {}, Basis.NONE, None),
        ("board", {START: (4.0, 6.0)}, Basis.START, 10.0),
        ("host", {}, Basis.USUAL, USUAL_SECONDS),
        ("host", {START: (0.2,)}, Basis.USUAL, USUAL_SECONDS),
    ],
)
def test_a_check_alone_tells_little_and_only_this_machine_has_a_usual_pace(
    profile, known, basis, candidate_s
):
    found = expected(job(profile), Shown(seconds={"": known}))
    assert (found.basis, found.candidate_s) == (basis, candidate_s)
    if basis is not Basis.USUAL:
        assert found.total_s is None


def test_no_more_is_expected_than_the_space_holds():
    found = expected(job(trials=None, size=2, trained=9), shown(**SEEN))
    assert (found.candidates, found.finalists, found.trainings) == (2, 2, 2)
