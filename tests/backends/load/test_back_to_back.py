"""Runs back to back, each timed by itself, and told in bins."""

import itertools
import time
from types import SimpleNamespace

import pytest
from paretune.backends.load import back_to_back as module
from paretune.backends.load.back_to_back import SLICES, back_to_back
from paretune.backends.load.histogram import spread_out


def session(run=lambda feed: None, simulated_ns=None):
    return SimpleNamespace(_run=run, simulated_ns=simulated_ns)


@pytest.fixture
def clock(monkeypatch):
    """One that goes on by what the runs say that they take."""
    passed = SimpleNamespace(ns=0)
    passed.perf_counter_ns = lambda: passed.ns
    monkeypatch.setattr(module, "time", passed)
    return passed


def runs_of(clock, seconds):
    def run(feed):
        clock.ns += int(1e9 * next(seconds))

    return session(run)


def test_each_run_is_counted_with_the_time_that_it_took(clock):
    found = back_to_back(
        runs_of(clock, itertools.chain([0.02], itertools.repeat(0.001))), {"x": 1}, {"seconds": 0.1}
    )
    times = [value for part in found["segments"] for value in spread_out(part)]
    assert len(times) == found["served"] == found["runs"] == 81
    assert len(found["segments"]) == SLICES - 1  # the first run is as long as two
    assert found["busy_ns"] == 1e9 * found["seconds"] == 100_000_000
    assert sum(times) == pytest.approx(found["busy_ns"], rel=0.01)
    assert max(times) == pytest.approx(20e6, rel=0.006)


def test_what_takes_longer_than_there_is_time_runs_once(clock):
    found = back_to_back(runs_of(clock, itertools.repeat(0.02)), {"x": 1}, {"seconds": 0.001})
    assert (found["runs"], found["seconds"]) == (1, 0.02)


def test_a_simulated_time_passes_at_once():
    start = time.monotonic()
    found = back_to_back(session(simulated_ns=2_000_000), {"x": 1}, {"seconds": 50.0})
    assert time.monotonic() - start < 25
    assert (found["runs"], found["seconds"]) == (25_000, 50.0)
    assert spread_out(found["segments"][0])[0] == pytest.approx(2e6, rel=0.006)


@pytest.mark.parametrize(("feed", "seconds"), [({}, 1.0), ({"x": 1}, 0.0), ({"x": 1}, 1e9)])
def test_what_is_no_work_is_refused(feed, seconds):
    with pytest.raises(ValueError, match="at work"):
        back_to_back(session(), feed, {"seconds": seconds})
