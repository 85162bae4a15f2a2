"""A device that goes away in the middle of a study, and comes back: nothing that was learned is lost."""

import threading
import time

import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.record.progress import Progress
from paretune.search.run.session import run_study

pytestmark = pytest.mark.slow

SPACE = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}


class Fault(Progress):
    """Does something to a board when the next candidate has started or ended."""

    def __init__(self, when, deed):
        self.deed, self.notes = deed, []
        setattr(self, when, self._befall)

    def note(self, text):
        self.notes.append(text)

    def _befall(self, *_):
        deed, self.deed = self.deed, None
        if deed:
            threading.Thread(target=deed, daemon=True).start()


@pytest.fixture
def study(bench, native_board):
    native_board.set(PARETUNE_TOY="1", OMP_NUM_THREADS="1")
    native_board.write_profile(bench.root)

    def written(patience):
        guard = {"patience": patience, "open": "60 s", "run": "60 s"}
        own = {"finalists": 1, "budget": {"trials": 2}, "profile": "./board.yaml", "guard": guard}
        return bench.study("lost", space=SPACE, **own)

    return written


def test_a_device_that_goes_away_and_one_that_comes_back(study, native_board):
    end = run_study(study(1), Fault("finished", native_board.down))
    assert end.gone is not None
    assert not end.whole
    assert "board" in end.gone.problem
    assert [t.evaluation.outcome for t in end.record.trials] == [Outcome.COMPLETE]

    def reboot():
        native_board.wait_for("paretune")
        time.sleep(0.3)
        native_board.reboot(2)

    native_board.up()
    fault = Fault("started", reboot)
    end = run_study(study(60), fault)
    assert end.whole
    assert (end.record.counters["complete"], end.record.counters["failed"]) == (2, 0)
    assert end.record.finalists
    assert any("answers" in note for note in fault.notes)
    assert not list(native_board.home.rglob(".paretune-runner.*"))
