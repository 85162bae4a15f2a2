"""Rounds on this machine tell what of ours went on beside them, and so does the verdict."""

from contextlib import closing

from lease_holders import forked, stand_in_a_step
from paretune.backends.lease.place import FOLDER_VARIABLE
from paretune.backends.lease.quiet import Quiet
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.measure.summary import summarize
from paretune.backends.runner.client import Guard
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.search.stages.device.runners import Deployment, Runners

PLAN = LatencyPlan(rounds=9, warm_up_s=0.0, min_rounds=9, block_ms=0.1)


class Steady:
    def sample(self, loops, count):
        return [1_000_000 * loops] * count


def measured(runners):
    with runners.lease.held():
        return runners.timed({"a": Steady()}, None, PLAN)


def test_a_measurement_beside_something_that_does_not_pause_is_noisy(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    lease = DeviceLease(LocalLaunch())
    lease._holding._quiet = Quiet(0.05)
    deployment = Deployment(batch=1, threads=1, device="here", instructions="these", watched=False)
    with closing(Runners(deployment, lease, Guard())) as runners:
        with forked(stand_in_a_step) as (pipe, _):
            pipe.recv()
            beside = measured(runners)
        alone = measured(runners)
    assert "noisy because work of another paretune" in summarize(beside, "a").verdict
    assert alone.beside == ""
