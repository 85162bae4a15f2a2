"""How long a child is waited for: its own silence counts, and not what stopped the one who waits."""

import itertools
import sys

import pytest
from paretune.backends.runner import child
from paretune.backends.runner.child import Child, ChildSilentError


@pytest.fixture
def silent():
    made = Child([sys.executable, "-c", "import time; time.sleep(60)"], {})
    yield made
    made.kill()


def test_a_silent_child_is_waited_for_as_long_as_was_said(silent, monkeypatch):
    monkeypatch.setattr(child, "_LOOK_S", 0.05)
    with pytest.raises(ChildSilentError):
        silent.reader(0.2)(1)


def test_a_pause_of_the_waiting_process_counts_as_one_moment(silent, monkeypatch):
    """As after Ctrl-Z and `fg`: each look at the clock comes an hour after the one before."""
    monkeypatch.setattr(child, "_LOOK_S", 0.01)
    looks = itertools.count()
    monkeypatch.setattr(child.time, "monotonic", lambda: 3600.0 * next(looks))
    with pytest.raises(ChildSilentError):
        silent.reader(0.05)(1)
    assert next(looks) >= 2 * 5
