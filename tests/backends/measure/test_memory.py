"""Memory by phases, and whether it comes to rest while a model runs."""

import json
import subprocess
import sys

import pytest
from paretune.backends.measure.memory import Phases
from paretune.backends.measure.steady import settled

MB = 2**20


IN_PHASES = """
import json
import numpy as np
from paretune.backends.measure.memory import Phases

phases, MB = Phases(), 2**20
np.ones(60 * MB, np.uint8)  # freed again: loading takes more than it keeps
kept = np.ones(20 * MB, np.uint8)
phases.loaded()
np.ones(10 * MB, np.uint8)
phases.first_run()
np.ones(30 * MB, np.uint8)
print(json.dumps(phases.told()))
"""


def test_each_phase_has_the_peak_of_its_own():
    # A process of its own: what others have freed there would serve this, too.
    done = subprocess.run([sys.executable, "-c", IN_PHASES], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    found = {name: told["phases"][name] - told["phases"]["base"] for name in
             ("load_peak", "load_held", "first_peak", "steady_peak", "steady_held")}  # fmt: skip
    expected = {"load_peak": 60, "load_held": 20, "first_peak": 30, "steady_peak": 50, "steady_held": 20}
    assert found == pytest.approx({name: mb * MB for name, mb in expected.items()}, abs=4 * MB)
    assert told["growth_bytes"] == max(found["load_peak"], found["first_peak"])
    assert told["phases"]["apart"]


def test_before_a_run_only_the_growth_is_told():
    assert set(Phases().told()) == {"growth_bytes"}


class Process:
    """Its memory follows a rule of its runs; a run takes a millisecond of its own clock."""

    def __init__(self, rule):
        self.rule, self.runs = rule, 0

    def settled(self, seconds=1.0):
        def run():
            self.runs += 1

        return settled(run, seconds, lambda: int(self.rule(self.runs)), lambda: self.runs / 1000)


@pytest.mark.parametrize(
    ("rule", "rests", "growth"),
    [
        (lambda runs: 50 * MB, True, 0.0),
        (lambda runs: 50 * MB + min(runs, 200) * 0.1 * MB, True, 0.0),  # an arena that fills up
        (lambda runs: 50 * MB + (runs % 200) * 1024, True, 0.0),  # what is freed from time to time
        (lambda runs: 50 * MB + runs * 2048, False, 2048.0),
        (lambda runs: 50 * MB + MB * (runs // 120), False, MB / 120),  # by leaps of its allocator
        (lambda runs: 50 * MB + 5 * MB * (runs // 90 % 2), False, 0.0),  # up and down
    ],
)
def test_what_grows_with_every_run_is_a_leak(rule, rests, growth):
    process = Process(rule)
    found = process.settled()
    assert (found["settled"], found["growth_bytes"]) == (rests, pytest.approx(growth, rel=0.3))
    assert found["runs"] == process.runs
    assert process.runs <= 1100


def test_a_run_that_takes_longer_than_there_is_time_for_ends_it():
    slow = Process(lambda runs: MB * runs)
    found = slow.settled(seconds=0.0005)
    assert found == {"runs": 1, "settled": False, "growth_bytes": 0.0}
