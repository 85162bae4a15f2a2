"""Runs back to back, each timed by itself, and told in bins."""

import time
from types import SimpleNamespace

import pytest
from paretune.backends.load.back_to_back import SLICES, back_to_back
from paretune.backends.load.histogram import spread_out


def session(run=lambda feed: None, simulated_ns=None):
    return SimpleNamespace(_run=run, simulated_ns=simulated_ns)


def test_each_run_is_counted_with_the_time_that_it_took():
    slow = iter([0.02] + 10_000 * [0.001])
    found = back_to_back(session(lambda feed: time.sleep(next(slow))), {"x": 1}, {"seconds": 0.1})
    times = [value for part in found["segments"] for value in spread_out(part)]
    assert len(times) == found["served"] == found["runs"]
    assert 1 < len(found["segments"]) <= SLICES
    assert sum(times) == pytest.approx(found["busy_ns"], rel=0.01)
    assert max(times) > 15e6
    assert 0.1 <= found["seconds"] < 1
    assert found["busy_ns"] <= 1e9 * found["seconds"]


def test_what_takes_longer_than_there_is_time_runs_once():
    found = back_to_back(session(lambda feed: time.sleep(0.02)), {"x": 1}, {"seconds": 0.001})
    assert found["runs"] == 1


def test_a_simulated_time_passes_at_once():
    start = time.monotonic()
    found = back_to_back(session(simulated_ns=2_000_000), {"x": 1}, {"seconds": 50.0})
    assert time.monotonic() - start < 1
    assert (found["runs"], found["seconds"]) == (25_000, 50.0)
    assert spread_out(found["segments"][0])[0] == pytest.approx(2e6, rel=0.006)


@pytest.mark.parametrize(("feed", "seconds"), [({}, 1.0), ({"x": 1}, 0.0), ({"x": 1}, 1e9)])
def test_what_is_no_work_is_refused(feed, seconds):
    with pytest.raises(ValueError, match="at work"):
        back_to_back(session(), feed, {"seconds": seconds})
