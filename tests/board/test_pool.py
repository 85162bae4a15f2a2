"""Devices of one kind behind real sshds, as a driver of many workers uses them: one that is away is left out,
one that is slower is set aside, and what one was at when it went away, or is sick, is done on another."""

import io
import threading
from contextlib import ExitStack

import pytest
from paretune.profiles.precision import Precision
from paretune.reports.terminal.devices import device_text
from paretune.search.driver import device_pool
from paretune.search.driver.budget import Budget
from paretune.search.driver.device_pool import DevicePool
from paretune.search.job.job import load_job
from paretune.search.job.pool import reached_pool
from paretune.search.record.evaluation import EVALUATION, Outcome
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import Standard, TrainEverything
from paretune.search.record.stops import DeviceGoneError
from paretune.search.run.kind import StudyKind
from paretune.search.run.on_devices import OnDevices
from paretune.search.store.store import Store
from rich.console import Console
from study.conftest import TESTS

from .native import NativeBoard
from .striking import BACKEND

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture
def boards(tmp_path, board_access, strikes, monkeypatch):
    """The first one is switched off, the last one is slower than it should be."""
    monkeypatch.setenv("PATH", board_access.path)
    with ExitStack() as stack:
        found = [NativeBoard(tmp_path / f"board-{name}", board_access) for name in "abc"]
        for board in found:
            stack.enter_context(board)
            board.set(PARETUNE_TOY="1", PYTHONPATH=TESTS, OMP_NUM_THREADS="1", STRIKES=str(strikes.folder))
        found[0].down()
        found[2].set(TOY_SLOW_DEVICE="1.5")
        yield found


@pytest.fixture
def job(bench, boards):
    devices = [{"host": "127.0.0.1", "port": board.port} for board in boards]
    boards[0].write_profile(bench.root, devices=devices)
    space = {"student": {"width": [4, 8]}, "precision": ["fp32", "int8"], "backend": [BACKEND]}
    guard = {"patience": "1 s", "open": "60 s", "run": "60 s"}
    return load_job(bench.study("pool", space=space, profile="./board.yaml", guard=guard))


@pytest.fixture
def found(job):
    return reached_pool(job)


@pytest.fixture
def on_devices(job, found):
    budget, store = Budget(trials=None, seconds=None), Store(job.places.store)
    budget.start()
    models = StudyKind().models(job, store, Progress(), budget)
    models.prepare(job.space)
    on = OnDevices(job, store, models, budget, Progress(), job.space.baselines()[0], None, found)
    yield on
    on.close()


def test_the_devices_of_a_pool_at_work(boards, job, found, on_devices, strikes, monkeypatch):
    monkeypatch.setattr(device_pool, "SEEN", 2)
    away, right, slow = (f"127.0.0.1:{board.port}" for board in boards)
    notes = []
    assert (found.device, found.alike) == (right, (right, slow))
    assert any(away in remark and "left out" in remark for remark in found.remarks)
    shown = Console(file=io.StringIO(), width=200)
    shown.print(device_text(str(job.places.study_file.parent / "board.yaml")))
    assert f"device {away} cannot be reached" in shown.file.getvalue()
    assert all(f"{name}: reach: ssh, the runner answers" in shown.file.getvalue() for name in (right, slow))
    pool = DevicePool(found.alike, notes.append)

    def wanted(width, precision):
        of = Precision(precision), ({"width": width} if width else {})
        return next(c for c in job.space.candidates() if (c.precision, dict(c.student)) == of)

    # One on which nothing runs is no end of the study: its task is another one's.
    boards[2].set(PYTHONPATH="/nowhere")
    with pytest.raises(DeviceGoneError, match=f"nothing can be .* on device {slow}"), on_devices.on(slow):
        pass
    boards[2].set(PYTHONPATH=TESTS)

    # The reference, which tells all latencies, was measured on the right one.
    with on_devices.on(right) as evaluator:
        teacher = evaluator.evaluate(job.space.baselines()[0], TrainEverything(), baseline=True)
    assert teacher.where.device == right
    assert EVALUATION.validate_json(EVALUATION.dump_json(teacher)) == teacher
    standard = Standard(reference_ms=teacher.metrics["latency_ms"].value)
    pool.settle(standard.reference_ms)
    pool.learn(right, teacher.where.reference_ms)

    ratios = {}
    for device, width, precision in ((right, 4, "int8"), (slow, 8, "fp32"), (slow, 8, "int8")):
        with on_devices.on(device) as evaluator:
            hardware = evaluator.hardware(wanted(width, precision), standard)
        assert hardware.where.device == device
        pool.learn(device, hardware.where.reference_ms)
        ratios[width, precision] = hardware.metrics["latency_ratio"].value
    assert pool.usable == (right,)
    assert f"{slow} is set aside" in notes[0]
    assert "50 % more" in notes[0]
    # What one device has measured holds for all, and is told as what it is.
    with on_devices.on(slow) as evaluator:
        known = evaluator.hardware(wanted(4, "int8"), standard)
    assert (known.where.device, known.where.reference_ms) == (right, None)
    assert known.metrics["latency_ratio"].value == ratios[4, "int8"]

    # A device goes away in the middle of a measurement.
    pool, candidate = DevicePool(found.alike, notes.append), wanted(4, "int8")
    device = pool.next()
    assert device == right
    strikes.arm("int8-run")

    def strike():
        with strikes.at("int8-run"):
            boards[1].down()

    striking = threading.Thread(target=strike)
    striking.start()
    with pytest.raises(DeviceGoneError) as gone, on_devices.on(device) as evaluator:
        evaluator.evaluate(candidate, TrainEverything(standard))
    striking.join()
    pool.lost(device, gone.value)
    pool.done(device)
    other = pool.next()
    assert other == slow
    with on_devices.on(other) as evaluator:
        evaluation = evaluator.evaluate(candidate, TrainEverything(standard))
    assert evaluation.outcome is Outcome.COMPLETE
    assert evaluation.where.device == slow
    assert [stage.cached for stage in evaluation.stages if stage.name == "distill"] == [True]
