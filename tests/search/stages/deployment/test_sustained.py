"""An artifact kept at work, in the time of a simulated device; and a device that cools."""

from pathlib import Path

import numpy as np
import pytest
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.search.record.stops import Interrupted
from paretune.search.record.sustained import SustainedLoad
from paretune.search.stages.deployment.cooling import Cooling
from paretune.search.stages.deployment.sustained import SustainedAsked, Work, Worker

FOLDER = Path(__file__).resolve().parents[3] / "backends" / "runner"
LAUNCH = LocalLaunch(path=(str(FOLDER),))
FEED = {"x": np.ones((2, 3), np.float32)}


@pytest.fixture
def at_work(tmp_path):
    """What a scripted model showed that takes a millisecond, and after so many runs (a piece is one) two."""

    def worked(*, rate=0.0, slower_after=0, seconds=240.0, checkpoint=lambda: None):
        path, shown = tmp_path / "model.scripted", []
        path.write_text(f"simulated_ns=1000000 slower_after={slower_after}")
        work = Work(
            asked=SustainedAsked(seconds=seconds, load=SustainedLoad(rate=rate or None)),
            seconds=seconds,
            rate=rate,
            run_s=0.001,
            cooling=Cooling(seconds=seconds, sleep=lambda seconds: pytest.fail("no time passes here")),
            shown=lambda number, minute: shown.append((number, minute)),
            checkpoint=checkpoint,
        )
        with RunnerClient(LAUNCH) as runner:
            runner.open("scripted_backend:ScriptedBackend", path, 2, 1)
            runner.prepare(FEED)
            found = Worker(runner, work, lambda: 5.0).worked()
        assert [minute for _, minute in shown] == list(found.minutes)
        return found

    return worked


def test_minutes_are_told_hot_against_cold(at_work):
    found = at_work(slower_after=30)
    assert len(found.minutes) == 4
    assert [round(minute.p50_ms) for minute in found.minutes] == [1, 1, 2, 2]
    assert found.slowdown.value == pytest.approx(2.0, rel=0.01)
    assert found.tails["latency_p99_ms"] == pytest.approx(2.0, rel=0.01)
    assert (found.hot_minutes, found.hot, found.reference, found.cooled) == (1, {}, 1.0, "")
    assert found.kept_up
    assert found.minutes[0].p99_ms is not None


def test_at_a_rate_the_time_in_the_queue_counts(at_work):
    calm, busy = at_work(rate=20.0, seconds=60.0), at_work(rate=300.0, seconds=60.0)
    assert calm.minutes[-1].p50_ms == pytest.approx(1.0, rel=0.1)
    assert calm.kept_up
    assert calm.hot["latency_p99_ms"].value > calm.minutes[-1].p50_ms
    assert busy.minutes[-1].p99_ms > calm.minutes[-1].p99_ms


def test_a_p99_of_too_few_is_not_told(at_work):
    found = at_work(rate=2.0, seconds=60.0)
    assert found.minutes[0].served == pytest.approx(120, abs=2)
    assert found.minutes[0].p99_ms is None
    assert set(found.hot) == {"latency_p90_ms"}


def test_a_stop_ends_it_between_two_pieces(at_work):
    asked = iter(range(4))

    def stop():
        if next(asked) == 3:
            raise Interrupted("Ctrl-C")

    with pytest.raises(Interrupted):
        at_work(checkpoint=stop)


class Device:
    """Warms up by what is asked of it, and cools by half a degree a second of a clock of its own."""

    def __init__(self, temperature):
        self.temperature, self.now, self.asked = temperature, 0.0, 0

    def cooling(self, seconds):
        return Cooling(seconds=seconds, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds):
        self.now += seconds
        if self.temperature is not None:
            self.temperature = max(40.0, self.temperature - 0.5 * seconds)

    def wait(self, cooling):
        def checkpoint():
            self.asked += 1

        return cooling.wait(lambda: self.temperature, checkpoint)


def test_a_device_cools_to_about_what_it_was():
    device = Device(45.0)
    cooling = device.cooling(600.0)
    assert device.wait(cooling) == ""
    assert device.now == 0
    device.temperature = 80.0
    assert "47 °C" in device.wait(cooling)
    assert device.now == 66
    assert device.asked == 66


def test_one_that_does_not_cool_is_not_waited_for_without_end():
    device = Device(30.0)
    cooling = device.cooling(120.0)
    device.wait(cooling)
    device.temperature = 80.0
    assert "still 50 °C" in device.wait(cooling)
    assert device.now == 60


def test_one_that_tells_no_temperature_rests():
    device = Device(None)
    cooling = device.cooling(300.0)
    device.wait(cooling)
    assert "no temperature" in device.wait(cooling)
    assert device.now == 30
