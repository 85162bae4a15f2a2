"""Tasks and workers of a real cluster in this process: who waits, who is left out, what is given back."""

import threading
import time
from dataclasses import replace
from importlib import import_module

import pytest
from contracts.store_contract import until
from distributed import Client, LocalCluster, get_worker
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.cluster import on_worker, present
from paretune.search.cluster.engine import DaskWorkers
from paretune.search.cluster.orders import StudyOrder, Unfit
from paretune.search.record.candidate import Candidate
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import Standard, TrainEverything
from paretune.search.record.stops import DeviceGoneError
from paretune.search.record.workers import WorkerResult, WorkerTask

pytestmark = pytest.mark.slow

JUDGE = TrainEverything(Standard())
CANDIDATE = Candidate(backend="toy", precision=Precision.FP32)


class Notes(Progress):
    def __init__(self):
        self.notes, self.stages, self.idle = [], 0, []

    def note(self, text):
        self.notes.append(text)

    def at_work(self, worker, trial, stage):
        self.stages += 1
        self.idle += [] if stage else [worker]


@pytest.fixture
def clients():
    """Clients of a cluster of so many workers."""
    opened = []

    def make(count):
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=False,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            worker_dashboard_address=None,
            dashboard_address=None,
        )
        opened.extend([cluster, Client(cluster, set_as_default=False)])
        return opened[-1]

    yield make
    for one in reversed(opened):
        one.close()


@pytest.fixture
def workers(clients):
    opened = []

    def make(count, left=None):
        order = StudyOrder(
            session="one", study_file="", expected={}, witness="", reference=CANDIDATE, seconds=None
        )
        opened.append(DaskWorkers(clients(count), order, lambda: (left, 0.0), Notes()))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def task(number):
    return WorkerTask(number=number, candidate=CANDIDATE)


def done(order):
    """In place of `on_worker.work`."""
    return WorkerResult(task=order.task, worker="here", seconds=order.seconds_left or 0.0)


def waited_for(workers, most=60):
    """The next result."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        result = workers.wait(JUDGE)
        if result is not None:
            return result
    raise AssertionError("waited in vain")


def test_who_waits_looks_up_while_workers_tell_and_tell(workers):
    few = workers(0)
    ended = threading.Event()

    def tell():
        while not ended.wait(0.01):
            few._happened.put({"name": "w", "address": "a", "stage": "distill"})

    teller = threading.Thread(target=tell)
    teller.start()
    alarm = threading.Timer(60, ended.set)
    alarm.start()
    try:
        assert few.wait(JUDGE) is None
        assert not ended.is_set()
        assert few._progress.stages
    finally:
        alarm.cancel()
        ended.set()
        teller.join()


def test_tasks_beyond_the_workers_wait_and_each_is_told_what_is_left_as_it_begins(workers, monkeypatch):
    monkeypatch.setattr(on_worker, "work", done)
    two = workers(2, left=7.0)
    assert two.count == 2
    for number in range(5):
        two.submit(task(number), JUDGE)
    results = [waited_for(two) for _ in range(5)]
    assert sorted(one.task.number for one in results) == list(range(5))
    assert {one.seconds for one in results} == {7.0}


class Unloadable:
    """Of a package that workers do not have."""

    def __reduce__(self):
        return import_module, ("no_package_of_this_name",)

    def __call__(self, order):
        return done(order)


def test_a_worker_that_cannot_load_the_tasks_is_left_out_and_named(workers, monkeypatch):
    monkeypatch.setattr(on_worker, "work", Unloadable())
    monkeypatch.setattr(present, "NONE_LEFT_S", 0.0)
    one = workers(1)
    one.submit(task(0), JUDGE)
    with pytest.raises(UserError, match="no worker is fit") as caught:
        waited_for(one)
    assert "no_package_of_this_name" in str(caught.value)
    assert one.count == 0


@pytest.mark.parametrize("why", ["a stop", "no time"])
def test_what_waits_for_a_worker_is_given_back_at_the_end(workers, why):
    none = workers(0, left=0.0 if why == "no time" else None)
    none.submit(task(3), JUDGE)
    if why == "a stop":
        assert none.wait(JUDGE) is None
        none.stop(urgent=False)
    result = waited_for(none)
    assert (result.task.number, bool(result.stopped)) == (3, True)


HELD = threading.Event()


def told(what):
    """As a worker tells it, of the worker that this is called on."""
    worker = get_worker()
    about = {"name": str(worker.name), "address": worker.address}
    worker.log_event(on_worker.topic_of("one"), {**about, **what})
    return worker


def hold(order):
    """In place of `on_worker.work`."""
    told({"begun": order.task.number})
    HELD.wait(60)
    return done(order)


async def remove(address, expected, dask_scheduler):
    await dask_scheduler.remove_worker(address, stimulus_id="test", expected=expected, close=False)


def begun(workers):
    """The one task that is handed out, once a worker has begun it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert workers.wait(JUDGE) is None
        (out,) = workers._out.values()
        if out.begun:
            return out
    raise AssertionError("waited in vain")


def test_a_worker_that_ends_has_its_task_done_by_another_and_three_such_are_told(workers, monkeypatch):
    monkeypatch.setattr(on_worker, "work", hold)
    monkeypatch.setattr(present, "FRESH_S", 0.1)
    HELD.clear()
    five = workers(5)
    five.submit(task(0), JUDGE)
    addresses = set()
    try:
        for expected, lost in ((True, 0), (False, 1), (False, 2), (False, 3)):
            out = begun(five)
            addresses.add(out.worker)
            five._line.client.run_on_scheduler(remove, out.worker, expected)
            while lost < 3 and five._out[0].worker == out.worker:
                assert five.wait(JUDGE) is None
            assert lost == 3 or five._out[0].lost == lost
        result = waited_for(five)
    finally:
        HELD.set()
    assert len(addresses) == 4
    assert result.evaluation.try_again
    assert result.evaluation.stage == "worker"
    assert (result.worker, result.seconds > 0) == (five._present.name(out.worker), True)  # it was not idle


def fail(order):
    """In place of `on_worker.work`."""
    worker = told({"begun": order.task.number})
    error = UserError("the store cannot be written", found="No space left on device")
    about = {"worker": str(worker.name), "address": worker.address}
    return Unfit(**about, differences=(str(error),), passes=True, error=error)


@pytest.mark.parametrize("count", [1, 3])
def test_what_befalls_two_workers_alike_or_the_last_one_is_no_matter_of_theirs(workers, monkeypatch, count):
    monkeypatch.setattr(on_worker, "work", fail)
    some = workers(count)
    some.submit(task(0), JUDGE)
    result = waited_for(some)
    assert result.error.found == "No space left on device"
    assert some.count == max(0, count - 2)
    now = time.monotonic()
    monkeypatch.setattr(present.time, "monotonic", lambda: now + present.PASSES_S)
    assert some.count == count, "it may have passed"


def test_what_is_in_a_workers_way_before_a_task_and_may_pass_ends_nothing_and_is_told_once(
    workers, monkeypatch
):
    one, now = workers(1), time.monotonic() + 1
    (address,) = one._present.fit()
    for at in (now, now + 2 * present.PASSES_S):
        monkeypatch.setattr(present.time, "monotonic", lambda at=at: at)
        assert one.count == 1
        why = ("the object store does not answer",)
        one._present.leave_out(Unfit(worker="w", address=address, differences=why, passes=True))
        assert one.count == 0
    assert one._progress.idle == ["w", "w"]
    assert one._progress.notes == ["w is left out, for 10 min: the object store does not answer"]


CUT, TRIED = dict[str, tuple[int, ...]](), []


def reach(order):
    """In place of `on_worker.work`: workers of `CUT` have no way to a device."""
    worker, device = told({"begun": order.task.number}), order.task.device
    TRIED.append((worker.name, device))
    gone = DeviceGoneError("it cannot be reached") if worker.name in CUT.get(device, ()) else None
    return WorkerResult(task=order.task, worker=str(worker.name), error=gone)


@pytest.mark.parametrize(("cut", "count", "tries"), [((0, 1), 2, 2), ((0, 1, 2), 3, 2), ((0,), 1, 1)])
def test_a_device_is_gone_that_two_workers_or_the_only_one_do_not_reach(
    workers, monkeypatch, cut, count, tries
):
    monkeypatch.setattr(on_worker, "work", reach)
    TRIED.clear()
    monkeypatch.setitem(CUT, "d", cut)
    some = workers(count)
    some.submit(replace(task(0), device="d"), JUDGE)
    assert isinstance(waited_for(some).error, DeviceGoneError)
    assert len(set(TRIED)) == len(TRIED) == tries
    for number in (1, 2):  # of before, or that come later
        some.submit(replace(task(number), device="d"), JUDGE)
        assert isinstance(waited_for(some).error, DeviceGoneError)


def test_a_worker_that_alone_has_no_way_to_a_device_has_the_tasks_of_others(workers, monkeypatch):
    monkeypatch.setattr(on_worker, "work", reach)
    TRIED.clear()
    monkeypatch.setitem(CUT, "d", (0,))
    two = workers(2)
    for number in range(8):
        two.submit(replace(task(number), device="de"[number % 2]), JUDGE)
    results = [waited_for(two) for _ in range(8)]
    assert [one.error for one in results] == [None] * 8
    assert {one.worker for one in results if one.task.device == "d"} == {"1"}
    assert "0" in {one.worker for one in results if one.task.device == "e"}
    assert TRIED.count((0, "d")) <= 1
    assert sum("does not reach d" in note for note in two._progress.notes) == TRIED.count((0, "d"))


def wait_for_it(event_of):
    HELD.wait(60)


def test_what_a_worker_has_not_begun_is_given_back_at_a_stop(workers, monkeypatch):
    monkeypatch.setattr(on_worker, "work", done)
    HELD.clear()
    one = workers(1)
    others = one._line.client.submit(wait_for_it, None, pure=False)
    try:
        one.submit(task(0), JUDGE)
        assert one.wait(JUDGE) is None
        assert one.wait(JUDGE) is None, "it is not told that it has begun"
        one.stop(urgent=False)
        assert waited_for(one).stopped
        assert not others.done()
    finally:
        HELD.set()


def test_nobody_waits_at_the_end_for_a_worker_that_only_makes_itself_ready(workers, monkeypatch):
    monkeypatch.setattr(on_worker, "work", hold)
    HELD.clear()
    one, left = workers(1), [9.0]
    one._left = lambda: (left[0], 0.0)
    try:
        one.submit(task(0), JUDGE)
        begun(one)
        left[0] = 0.0
        assert waited_for(one).stopped
        until(lambda: on_worker._flag("one").count == 2)  # else it would begin now
    finally:
        HELD.set()
        on_worker._stops.clear()
