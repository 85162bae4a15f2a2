"""A driver of many workers on a pool of devices: what is off gets no more tasks, what is lost costs none."""

from collections import Counter
from dataclasses import replace

import optuna
import pytest
from optuna.samplers import RandomSampler
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.search.driver.budget import Budget
from paretune.search.driver.many import DriverOfMany
from paretune.search.driver.parts import DriverParts
from paretune.search.driver.plan import SearchPlan
from paretune.search.driver.search import Search
from paretune.search.record.candidate import Recipe
from paretune.search.record.evaluation import Evaluation, Finalist, Objective, Outcome, StudyRecord
from paretune.search.record.progress import Progress
from paretune.search.record.stops import DeviceGoneError
from paretune.search.record.where import Where
from paretune.search.record.workers import WorkerResult
from paretune.search.space.space import BackendChoices, Space
from paretune.search.storage.study_store import StudyStore

REFERENCE_MS = {"a": 4.0, "b": 4.04, "c": 6.0, "d": 4.0}
GONE = DeviceGoneError("device d cannot be reached any more", found="Connection refused", remedy="look")
OBJECTIVES = (
    Objective(metric="accuracy", higher_is_better=True),
    Objective(metric="latency_ms", higher_is_better=False),
)


class Rule:
    """The driver's own evaluator."""

    def prepare_reference(self, candidate):
        return None

    def evaluate(self, candidate, judge, *, baseline=False):
        metrics = {"accuracy": Quantity(value=0.9), "latency_ms": Quantity(value=4.0, low=3.9, high=4.1)}
        return Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, baseline=baseline)

    def test_score(self, evaluation):
        return Quantity(value=0.9)

    def finalists(self, record, numbers, *, rounds, seed):
        known = {trial.number: trial.evaluation.metrics for trial in record.trials}
        return tuple(Finalist(number=n, metrics=known[n]) for n in numbers)


class FourWorkers:
    """One task after the other; a device of `lost` answers so many tasks, and then no more."""

    count = 4

    def __init__(self, **lost):
        self.tasks, self.left, self.seen = [], lost, []

    def submit(self, task, judge):
        self.tasks.append(task)

    def wait(self, judge):
        task = self.tasks.pop(0)
        self.left[task.device] = self.left.get(task.device, 1000) - 1
        if self.left[task.device] < 0:
            return WorkerResult(task=task, worker="w", error=GONE)
        self.seen.append(task)
        took = REFERENCE_MS[task.device]
        reference = Quantity(value=took, low=0.99 * took, high=1.01 * took)
        evaluation = Rule().evaluate(task.candidate, judge, baseline=task.baseline)
        return WorkerResult(
            task=task,
            worker="w",
            evaluation=replace(evaluation, where=Where(device=task.device, reference_ms=reference)),
        )

    def stop(self, *, urgent):
        raise AssertionError("nobody asks for a stop")

    def close(self):
        pass


def driven(workers, devices, trials=24):
    backend = BackendChoices(
        name="toy",
        precisions=(Precision.FP32, Precision.INT8),
        calibration_methods=("minmax",),
        sparsities=("dense",),
    )
    space = Space(
        backends=(backend,),
        student_axes={"width": tuple(range(1, 40))},
        temperatures=(4.0,),
        weights=(0.7,),
        calibration_samples=(16,),
        per_channel=(True,),
        recipe=Recipe(epochs=2),
    )
    frame = StudyRecord(
        name="s", study_text="", workload="w", profile="p", quality="accuracy", objectives=OBJECTIVES,
        limits=(), trials=(),
    )  # fmt: skip
    plan = SearchPlan(space=space, limits=(), finalists=1, finalist_rounds=9, seed=0, frame=frame)
    sampler = RandomSampler(seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    studies = StudyStore(study, tuple(o.metric for o in OBJECTIVES))
    budget = Budget(trials=trials, seconds=None)
    parts = DriverParts(plan, Rule(), Search(sampler), studies, budget, Progress())

    def come():
        assert parts.search.standard.reference_ms, "the reference is the driver's own work"
        return workers

    return DriverOfMany(parts, come, devices)


def by_workers(record):
    return [trial for trial in record.trials if trial.evaluation.where and trial.duplicate_of is None]


def test_all_devices_work_but_for_those_that_are_off_or_lost():
    workers = FourWorkers(d=3)
    record = driven(workers, ("a", "b", "c", "d")).run()
    assert record.counters["complete"] >= 24
    numbers = [task.number for task in workers.seen]
    assert len(numbers) == len(set(numbers))  # nothing twice, and the task of the lost one elsewhere
    tasks = Counter(task.device for task in workers.seen)
    assert tasks["d"] == 3
    assert 3 <= tasks["c"] <= 3 + FourWorkers.count
    assert min(tasks["a"], tasks["b"]) >= 5
    assert any("d was lost, and its task is done on another" in remark for remark in record.remarks)
    assert any("c is set aside: the reference takes 6 ms there" in remark for remark in record.remarks)
    assert Counter(trial.evaluation.where.device for trial in by_workers(record)) == tasks


def test_a_study_ends_where_the_last_device_is_lost_with_all_that_it_knows():
    driver = driven(FourWorkers(a=2, b=3), ("a", "b"))
    record = driver.run()
    assert driver.ending.gone is not None
    assert record.stopped == GONE.problem
    assert len(by_workers(record)) == 5


class Used(Progress):
    def __init__(self):
        self.told = 0

    def budget(self, evaluated, trials, elapsed, seconds):
        self.told += 1


class SlowWorkers(FourWorkers):
    """For a while nothing ends."""

    def __init__(self):
        super().__init__()
        self.told, self.progress = [], Used()

    def wait(self, judge):
        self.told.append(self.progress.told)
        return super().wait(judge) if len(self.told) > 4 else None


def test_how_much_time_is_used_is_told_also_while_nothing_ends(monkeypatch):
    monkeypatch.setitem(REFERENCE_MS, "", 4.0)
    workers = SlowWorkers()
    driver = driven(workers, (), trials=4)
    driver.progress = workers.progress
    driver.run()
    first = workers.told[0]
    assert workers.told[:4] == [first, first + 1, first + 2, first + 3]


@pytest.mark.parametrize("devices", [(), ("a",)])
def test_one_device_gets_all(devices, monkeypatch):
    monkeypatch.setitem(REFERENCE_MS, "", 4.0)
    workers = FourWorkers()
    driven(workers, devices, trials=8).run()
    assert {task.device for task in workers.seen} == {"".join(devices)}
