"""Many workers in simulated time: tasks run beside each other, and one alone searches as without workers."""

import pytest
from paretune.profiles.errors import InternalError
from paretune.search.record.evaluation import Outcome
from paretune.search.record.protocols import TrainEverything
from paretune.search.record.workers import WorkerTask

from benchmarks import parallel
from benchmarks.exhaustive.run import enough
from benchmarks.exhaustive.table import load_recorded
from benchmarks.simulation.evaluator import TableEvaluator
from benchmarks.simulation.search import DRIVEN, OURS, DrivenSearch
from benchmarks.simulation.summary import COLUMNS, reaching
from benchmarks.simulation.workers import SimulatedWorkers
from tests.benchmarks.test_exhaustive import write_small_table
from tests.benchmarks.test_simulation import INT8, StopAt, candidate, row_of

pytestmark = pytest.mark.slow

MEASURED = 1 + 4  # seconds to compile and measure with untrained weights
DEPLOYED = 1 + 2 + 4
JUDGE = TrainEverything()


def workers(count, devices=None):
    return SimulatedWorkers(TableEvaluator(row_of), count, devices)


def ended(pool, judge=JUDGE):
    """What ends next; in between, who waits may look what has been told."""
    while (result := pool.wait(judge)) is None:
        pass
    return result


def done(pool, *tasks, judge=JUDGE):
    """Each task's result and when it came, in the order of their ends."""
    for task in tasks:
        pool.submit(task, judge)
    found = []
    for _ in tasks:
        result = ended(pool, judge)
        found.append((pool.now(), result))
    return found


def evaluated(number, width=1, **more):
    return WorkerTask(number=number, candidate=candidate(width=width, **more))


def test_tasks_run_beside_each_other_and_end_in_the_order_of_time():
    measure = WorkerTask(number=-1, candidate=candidate(width=3), measure=True)
    (first, measured), (second, one), (third, other) = done(
        workers(3), evaluated(0), evaluated(1, width=2), measure
    )
    assert (first, second, third) == (MEASURED, MEASURED + 50 + DEPLOYED, MEASURED + 50 + DEPLOYED)
    assert measured.task is measure
    assert measured.hardware.metrics["latency_ms"].value == 2.0
    assert [r.evaluation.outcome for r in (one, other)] == [Outcome.COMPLETE] * 2
    assert (one.task.number, other.task.number) == (0, 1)
    assert one.worker != other.worker
    assert one.seconds == MEASURED + 50 + DEPLOYED


def test_with_one_worker_tasks_take_as_long_as_one_after_the_other():
    ends = [end for end, _ in done(workers(1), evaluated(0), evaluated(1, width=2))]
    assert ends == [MEASURED + 50 + DEPLOYED, 2 * (MEASURED + 50 + DEPLOYED)]


def test_what_another_one_trains_is_waited_for_and_not_paid_twice():
    pool = workers(2)
    int8 = WorkerTask(number=1, candidate=INT8)
    (first, _), (second, twin) = done(pool, evaluated(0), int8)
    assert first == MEASURED + 50 + DEPLOYED
    assert second == MEASURED + 50 + DEPLOYED
    assert twin.evaluation.stages[-4].cached
    assert twin.waited == 50
    assert pool.evaluator.trainings_begun == 1
    assert pool.evaluator.training_seconds == 50.0


def test_one_device_is_leased_to_one_at_a_time():
    tasks = [WorkerTask(number=-n, candidate=candidate(width=n), measure=True) for n in (1, 2, 3)]
    found = done(workers(3, devices=1), *tasks)
    assert [end for end, _ in found] == [1 + 4, 1 + 8, 1 + 12]
    assert [result.waited for _, result in found] == [0, 4, 8]
    assert [end for end, _ in done(workers(3), *tasks)] == [5, 5, 5]


def test_milestones_come_at_their_time_and_what_is_stopped_there_has_a_checkpoint():
    pool, judge = workers(2), StopAt(2)
    ((end, result),) = done(pool, evaluated(0), judge=judge)
    assert end == MEASURED + 50 * 2 / 5
    assert result.evaluation.stopped_epoch == 2
    assert pool.evaluator.whole_trainings == pytest.approx(0.4)
    ((again, result),) = done(pool, evaluated(1))
    assert result.evaluation.outcome is Outcome.COMPLETE
    assert again - end == 50 * 3 / 5 + DEPLOYED


def test_a_stop_ends_what_is_under_way_and_what_waits():
    pool = workers(1)
    for task in (evaluated(0), evaluated(1, width=2)):
        pool.submit(task, JUDGE)
    pool.submit(WorkerTask(number=-1, candidate=candidate(width=0), measure=True), JUDGE)
    assert ended(pool).task.number == 0
    pool.stop(urgent=False)
    left = ended(pool), ended(pool)
    assert {(r.task.number, bool(r.stopped)) for r in left} == {(1, True), (-1, True)}
    with pytest.raises(InternalError):
        pool.wait(JUDGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_small_table(tmp_path_factory.mktemp("parallel") / "table")


def searched(folder, workers=None, seed=0):
    table = load_recorded(folder)
    return DrivenSearch(table, DRIVEN[OURS], seed, trials=200, enough=enough, workers=workers)


def trials(search):
    search.run()
    return [(t.evaluation.candidate.digest, t.evaluation.outcome) for t in search.driver.studies.records()]


def test_one_worker_searches_as_the_serial_driver_does(folder):
    serial, one = searched(folder), searched(folder, workers=1)
    assert trials(one) == trials(serial)
    assert [m[2:] for m in one.holdings.history] == [m[2:] for m in serial.holdings.history]
    assert one.holdings.history[-1][1] == pytest.approx(serial.holdings.history[-1][1], abs=0.01)


def test_many_workers_train_nothing_twice_find_the_front_and_do_so_again(folder):
    many, again = searched(folder, workers=8), searched(folder, workers=8)
    assert trials(many) == trials(again)
    assert many.holdings.share >= 0.99
    assert (
        many.evaluator.whole_trainings
        <= many.evaluator.trainings_begun
        <= len(many.holdings.table.trainings())
    )
    assert not many.driver.workers._running
    latest, begun = (many.holdings.history[-1][COLUMNS[name]] for name in ("latest", "trainings"))
    assert 0 < latest <= begun


def test_the_command_prints_what_many_workers_bring_and_which_goals_are_met(folder, tmp_path, capsys):
    out = tmp_path / "parallel.json"
    options = ["--tables", str(folder), "--workers", "1,8", "--seeds", "1", "--jobs", "1", "--out", str(out)]
    assert parallel.main(options) == 0
    shown = capsys.readouterr().out
    assert "8 workers to 95%" in shown
    assert "times shorter" in shown
    assert "trainings to 99%, goal +15%" in shown
    assert parallel.main(options) == 0
    assert "2 of 2 runs are kept" in capsys.readouterr().err
    options[3] = "8"  # beside nothing
    assert parallel.main(options) == 0
    assert "that know every result: 99% in" in capsys.readouterr().out


def reached(*seconds):
    return {reaching(0.95, "seconds"): list(seconds)}


def test_seeds_that_do_not_get_there_are_told_and_are_no_goal_met():
    def beside(many, one):
        return parallel.beside_one({"1": reached(*one), "8": reached(*many)}, "8", 0.95, "seconds")

    assert beside((5, None, 4), (10, 20, None)).within(0.5) == "met, 1 of 3 seeds, 2 by many, 2 by one"
    assert beside((5, None), (10, 20)).within(0.5) == "MISSED, 1 of 2 seeds, 1 by many, 2 by one"
    assert beside((None,), (10,)).told(shorter=True) == "untold"
    assert beside((6, 4), (10, 20)).told(shorter=True) == "3.0 times shorter"
