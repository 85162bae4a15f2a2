"""What a measurement takes, and a plan that takes less: on devices of any speed, by a simulated clock."""

import pytest
from paretune.backends.measure.effort import fitted, seconds_of
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import LatencyPlan

PLAN = LatencyPlan(process_spread=0.0)
PACES = [1e-4, 5e-3, 0.1, 0.4, 2.0, 20.0]


class Device:
    """Every run takes so long, and counts."""

    def __init__(self, run_s):
        self.run_s, self.spent = run_s, 0.0

    def sample(self, loops, count):
        self.spent += loops * count * self.run_s
        return [round(loops * self.run_s * 1e9)] * count


def taken(plan, run_s):
    devices = Device(run_s), Device(run_s)
    measure({"one": devices[0]}, devices[1], plan)
    return sum(device.spent for device in devices)


@pytest.mark.parametrize("run_s", PACES)
@pytest.mark.parametrize("plan", [PLAN, LatencyPlan(rounds=40, min_samples=1, limit_s=8.0)])
def test_it_takes_what_was_expected(run_s, plan):
    assert taken(plan, run_s) == pytest.approx(seconds_of(plan, (run_s, run_s)), rel=0.35)


@pytest.mark.parametrize("run_s", PACES)
@pytest.mark.parametrize("seconds", [5.0, 18.0, 60.0])
def test_a_plan_that_fits_takes_no_longer_or_is_the_briefest(run_s, seconds):
    plan = fitted(PLAN, (run_s, run_s), seconds)
    briefest = plan.min_samples == 1 and plan.limit_s <= 1.0
    assert taken(plan, run_s) <= 1.35 * seconds or briefest
    assert plan.min_rounds == PLAN.min_rounds  # fewer would tell no interval


def test_what_fits_is_left_as_it_is():
    assert fitted(PLAN, (0.001, 0.001), 60.0) is PLAN


def test_devices_of_nearly_the_same_pace_share_a_plan():
    assert fitted(PLAN, (0.36, 0.36), 18.0) == fitted(PLAN, (0.37, 0.37), 18.0) != PLAN
