"""No request takes long because it is large: on a device of any speed, by a clock that is simulated."""

import numpy as np
import pytest
from paretune.backends.runner.pace import GROWTH, SHARE, Pace, paced, sampled
from paretune.backends.runner.reading import Reply

LIMIT_S = 120.0


class Device:
    """Runs take `run_s` seconds of its own clock; it remembers how long each request took."""

    def __init__(self, run_s, first_s=0.0):
        self.run_s, self.first_s, self.now = run_s, first_s, 0.0
        self.requests, self.rows = [], []

    def work(self, runs):
        took = self.first_s + runs * self.run_s
        self.first_s = 0.0
        self.now += took
        self.requests.append(took)

    def infer(self, part):
        rows = len(part["x"])
        self.work(-(-rows // 2))
        self.rows += [rows]
        return part["x"]

    def sample(self, body):
        self.work(body["loops"] * body["count"])
        told = [round(body["loops"] * self.run_s * 1e9)] * body["count"]
        return Reply(device="d", operation="sample", stage="measure", body={"nanoseconds": told})

    def scored(self, rows):
        data = {"x": np.arange(rows, dtype=np.float32)[:, None]}
        parts = paced(data, 2, Pace(LIMIT_S), self.infer, lambda: self.now)
        np.testing.assert_array_equal(np.concatenate(list(parts)), data["x"])


@pytest.mark.parametrize("run_s", [1e-6, 1e-3, 0.367, 5.0, 50.0, 119.0])
def test_a_split_of_any_size_is_scored_on_a_device_of_any_speed(run_s):
    device = Device(run_s)
    device.scored(2001)
    assert max(device.requests) <= max(SHARE * LIMIT_S * 1.001, run_s)
    assert all(rows % 2 == 0 for rows in device.rows[:-1])


def test_a_quick_device_is_asked_a_few_times():
    device = Device(1e-6)
    device.scored(20_000)
    assert len(device.requests) <= 7


def test_a_slow_first_run_only_makes_the_next_part_small():
    device = Device(1e-3, first_s=60.0)
    device.scored(20_000)
    assert device.rows[1] <= 2 * GROWTH
    assert len(device.requests) <= 9


def test_a_board_that_gets_slower_by_factors_in_the_middle_stays_within_the_limit():
    device = Device(0.1)
    for _ in paced({"x": np.zeros((5000, 1))}, 1, Pace(LIMIT_S), device.infer, lambda: device.now):
        device.run_s = 0.1 * 2 * (1 + len(device.requests) % 2 * 3)
    assert max(device.requests) < LIMIT_S


@pytest.mark.parametrize("run_s", [1e-6, 0.1, 5.0, 50.0])
@pytest.mark.parametrize(("loops", "count"), [(1, 1), (1, 27), (10, 15), (1000, 3)])
def test_samples_come_in_as_many_requests_as_their_time_needs(run_s, loops, count):
    device, pace = Device(run_s), Pace(LIMIT_S)
    pace.took(1, run_s)
    found = sampled(loops, count, pace, device.sample)
    assert len(found) == count
    assert max(device.requests) <= max(SHARE * LIMIT_S * 1.001, loops * run_s)
    if loops * count * run_s < SHARE * LIMIT_S:
        assert len(device.requests) == 1


def test_there_has_to_be_something_to_score():
    with pytest.raises(ValueError, match="no samples"):
        list(paced({"x": np.zeros((0, 1))}, 1, Pace(1.0), lambda part: part))
