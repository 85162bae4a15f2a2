"""A study of a pool goes on by itself where its device went away; of one device it ends."""

from types import SimpleNamespace

import pytest
from paretune.backends.runner.launch import SshLaunch
from paretune.backends.runner.trouble import Trouble, UnreachableError
from paretune.search.driver.budget import StopFlag
from paretune.search.record.progress import Progress
from paretune.search.record.stops import ENDS_EARLY, DeviceGoneError
from paretune.search.run.while_devices_answer import while_devices_answer

GONE = DeviceGoneError(f"{ENDS_EARLY}device pi-1 cannot be reached any more, it does not answer")
AWAY = UnreachableError(SshLaunch(host="pi-1"), Trouble.SILENT, found="Connection refused", remedy="look")


def session(gone=None):
    return SimpleNamespace(gone=gone)


@pytest.fixture
def run_to_the_end():
    def run(*ends, pool=("pi-1", "pi-2", "pi-3"), stop=None):
        left, notes = list(ends), []
        progress = Progress()
        progress.note = notes.append

        def once():
            end = left.pop(0)
            if isinstance(end, Exception):
                raise end
            return end

        job = SimpleNamespace(profile=SimpleNamespace(pool=pool))
        return while_devices_answer(job, once, progress, stop), len(left), notes

    return run


def test_it_goes_on_once_for_each_other_device(run_to_the_end):
    whole = session()
    assert run_to_the_end(whole)[:2] == (whole, 0)
    end, left, notes = run_to_the_end(session(GONE), session(GONE), whole)
    assert (end, left) == (whole, 0)
    assert notes[0].startswith("device pi-1 cannot be reached any more")
    end, left, _ = run_to_the_end(session(GONE), session(GONE), session(GONE), whole)
    assert (end.gone, left) == (GONE, 1)


def test_it_ends_where_none_answers_where_there_is_no_other_and_where_a_stop_was_asked_for(run_to_the_end):
    gone, stop = session(GONE), StopFlag()
    stop.request()
    assert run_to_the_end(gone, AWAY)[:2] == (gone, 0)
    for how in ({"pool": ()}, {"pool": ("pi-1",)}, {"stop": stop}):
        assert run_to_the_end(gone, session(), **how)[:2] == (gone, 1)
