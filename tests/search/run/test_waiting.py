"""A training that waits for who measures on this machine, and whoever waits for an entry of the store."""

import threading
import time

import pytest
from paretune.backends.lease.place import FOLDER_VARIABLE
from paretune.backends.lease.quiet import Quiet
from paretune.search.driver.budget import Budget
from paretune.search.record.progress import Progress
from paretune.search.record.stops import Interrupted
from paretune.search.run import waiting
from paretune.search.run.waiting import for_entries, training_control


class Shown(Progress):
    def __init__(self):
        self.stages = []

    def stage(self, name):
        self.stages.append(name)


def test_a_pause_is_shown_and_the_clock_of_the_training_stands_still(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(waiting, "_SHOWN_S", 0.05)
    budget, shown, took = Budget(trials=None, seconds=None), Shown(), []
    budget.start()
    control = training_control(budget, shown)

    def train():
        began = control.clock()
        with control.step():
            took.append(control.clock() - began)

    measuring, training = Quiet(), threading.Thread(target=train)
    measuring.begin()
    try:
        training.start()
        while len(shown.stages) < 2:
            assert training.is_alive()
            time.sleep(0.01)
    finally:
        measuring.end()
    training.join()
    assert shown.stages[0].startswith("waiting for this machine: somebody measures on it, for ")
    assert shown.stages[-1] == "training goes on"
    assert budget.waited >= 2 * waiting._SHOWN_S
    assert took[0] < budget.waited / 2
    with control.step():  # where nobody measures nothing is said
        pass
    assert shown.stages[-2:-1] != ["training goes on"]


def test_a_wait_for_an_entry_is_nobodys_cost_and_ends_with_the_study():
    budget = Budget(trials=None, seconds=None, clock=lambda: 100.0)
    waited = for_entries(budget)
    waited(7.0)
    assert budget.worked() == 93.0
    budget.stop.request()
    with pytest.raises(Interrupted):
        waited(1.0)
