"""Windows of a meter of a device that is simulated, and all that can go wrong with it."""

import threading
import time
from dataclasses import replace

import pytest
from paretune.backends.energy import sampling
from paretune.backends.energy.meter import Meter, MeterError, MeterFacts
from paretune.backends.energy.sampling import MeterReader
from paretune.backends.energy.summary import summarized
from paretune.backends.energy.windows import MeterWindow, MeterWindows, measured
from paretune.backends.measure.spread import Spread

COUNTER = MeterFacts(
    kind="rapl", rail="package", scope="package", counter=True, every_s=0.0005, window_s=0.03, settle_s=0.0
)
POWER = replace(COUNTER, kind="hwmon", rail="VDD_IN", counter=False, window_s=0.1)


class Device(Meter):
    """Draws 2 W at rest, and 5 W while an inference runs."""

    def __init__(self, facts, idle=2.0, busy=5.0):
        self.facts, self.idle, self.busy = facts, idle, busy
        self.working, self.joules, self.last, self.reads = False, 0.0, time.perf_counter(), 0
        self.lock = threading.Lock()

    def _watts(self):
        return self.busy if self.working else self.idle

    def _count(self):
        now = time.perf_counter()
        self.joules += (now - self.last) * self._watts()
        self.last = now

    def read(self):
        self.reads += 1
        with self.lock:
            self._count()
            noise = 1e-6 * (self.reads % 7)
            return self.joules if self.facts.counter else self._watts() + noise

    def inference(self):
        with self.lock:
            self._count()
            self.working = True
        time.sleep(0.002)
        with self.lock:
            self._count()
            self.working = False


def told(device, count=3, **kind):
    with MeterReader(device) as reader:
        return measured(reader, device.inference, count, **kind)


@pytest.mark.alone
@pytest.mark.parametrize("facts", [COUNTER, POWER], ids=["counter", "power"])
def test_energy_above_idle_is_what_inference_draws(facts):
    windows = told(Device(facts))
    found = summarized(windows, facts, batch=1)
    runs_s = sum(one.seconds for one in windows.work) / sum(one.runs for one in windows.work)
    assert found.idle_w == pytest.approx(2.0, rel=0.05)
    assert found.above_mj.value == pytest.approx(3.0 * runs_s * 1e3, rel=0.15)
    assert found.in_all_mj.value == pytest.approx(5.0 * runs_s * 1e3, rel=0.15)
    assert len(windows.idle) == len(windows.work) + 1
    eight = summarized(windows, facts, batch=8)
    assert eight.above_mj.value == pytest.approx(found.above_mj.value / 8)


@pytest.mark.alone
def test_what_draws_as_much_as_rest_has_no_figure():
    found = summarized(told(Device(COUNTER, busy=2.0)), COUNTER, batch=1)
    assert found.above_mj is None
    assert "not distinguishable from idle" in found.untold


@pytest.mark.alone
def test_a_power_that_never_changes_is_none(monkeypatch):
    device = Device(POWER)
    device.read = lambda: 4.5
    with pytest.raises(MeterError, match=r"4\.5 W whatever runs"):
        told(device)


@pytest.mark.alone
def test_a_counter_that_stands_still_is_refused():
    device = Device(COUNTER)
    device.read = lambda: 12.0
    with pytest.raises(MeterError, match="stood still"):
        told(device)


@pytest.mark.alone
def test_a_coarse_counter_gets_longer_windows_and_too_coarse_a_one_no_figure():
    coarse = replace(COUNTER, step=0.002)  # a hundred of its steps are 0.2 J, and above idle are 3 W
    assert 0.06 < told(Device(coarse), 1).work[0].seconds < 0.2
    with pytest.raises(MeterError, match=r"steps of 0\.02 J"):
        told(Device(replace(coarse, step=0.02)), most_s=0.1)


@pytest.mark.alone
def test_a_slow_meter_gets_longer_windows_and_too_slow_a_one_no_figure():
    slow = replace(POWER, every_s=0.003)
    assert told(Device(slow), 1).work[0].readings >= 64
    with pytest.raises(MeterError, match="readings within"):
        told(Device(replace(POWER, every_s=0.02)), most_s=0.1)


@pytest.mark.alone
def test_a_meter_that_hangs_or_breaks_in_the_middle_is_refused(monkeypatch):
    monkeypatch.setattr(sampling, "LATE_S", 0.1)
    device, free = Device(COUNTER), threading.Event()
    whole = device.read

    def hangs():
        if device.reads > 20:
            free.wait(5)
        return whole()

    device.read = hangs
    with pytest.raises(MeterError, match="no reading for"):
        told(device)
    free.set()
    broken = Device(COUNTER)

    def breaks():
        raise ValueError("the driver is gone")

    broken.read = breaks
    with pytest.raises(MeterError, match="the driver is gone"):
        told(broken)


# -- what windows mean --------------------------------------------------------------------------------


def windows(idle, work, runs=1000, seconds=2.0):
    """Of watts at rest and at work, in turn."""
    turns = []
    for number, watts in enumerate(idle):
        turns.append(MeterWindow(seconds=seconds, joules=watts * seconds, runs=0, readings=100))
        if number < len(work):
            joules = work[number] * seconds
            turns.append(MeterWindow(seconds=seconds, joules=joules, runs=runs, readings=100))
    return MeterWindows(turns=tuple(turns))


def test_a_steady_rise_of_what_rests_cancels_out():
    rising = windows([1.0, 1.2, 1.4, 1.6], [4.1, 4.3, 4.5])
    assert summarized(rising, POWER, 1).above_mj.value == pytest.approx(6.0)


def test_a_device_that_is_not_at_rest_is_told_so_with_its_figure():
    found = summarized(windows([1.0, 1.0, 2.0, 1.0], [4.0, 4.0, 4.0]), POWER, 1)
    assert found.verdict.startswith("not quiet")
    assert found.above_mj is not None
    assert summarized(windows([1.0] * 4, [4.0, 4.1, 4.0]), POWER, 1).verdict == "quiet"


def test_the_interval_is_students_over_windows_widened_by_what_processes_differ_by():
    some = windows([1.0] * 4, [4.0, 4.2, 4.4])
    plain = summarized(some, POWER, 1).above_mj
    assert plain.high - plain.value == pytest.approx(4.303 * 0.4 / 3**0.5, rel=1e-3)
    wider = summarized(some, POWER, 1, Spread(deviation=0.05, processes=5)).above_mj
    assert wider.high - wider.value > plain.high - plain.value
