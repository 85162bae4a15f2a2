"""How long a child is waited for: its own silence counts, and not what stopped the one who waits."""

import errno
import itertools
import sys

import pytest
from paretune.backends.runner import child
from paretune.backends.runner.child import Child, ChildSilentError, died_from_outside
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.reading import Reply
from paretune.backends.runner.replies import raise_error
from paretune.profiles.errors import StageError


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


@pytest.mark.parametrize(
    "refusal", [OSError(errno.EMFILE, "Too many open files"), BlockingIOError(errno.EAGAIN, "no process")]
)
def test_a_runner_that_the_system_does_not_let_start_says_nothing_about_its_candidate(monkeypatch, refusal):
    def refused(*_):
        raise refusal

    monkeypatch.setattr("paretune.backends.runner.start.Child", refused)
    with pytest.raises(StageError) as error:
        RunnerClient(LocalLaunch()).hello()
    assert error.value.outside
    assert refusal.strerror in error.value.cause
    assert "ulimit" in error.value.cause


@pytest.mark.parametrize(
    ("cause", "outside"),
    [
        ("OSError: [Errno 24] Too many open files: '/x'", True),
        ("RuntimeError: can't start new thread", True),
        ("RuntimeError: std::bad_alloc", True),
        ("ValueError: shapes do not match", False),
    ],
)
def test_what_the_system_refuses_a_runner_is_no_finding_about_its_candidate(cause, outside):
    reply = Reply(
        device="here", operation="open", stage="measure", body={"error": "error", "cause": cause, "log": ""}
    )
    with pytest.raises(StageError) as error:
        raise_error(reply, None)
    assert error.value.outside is outside
    assert died_from_outside(1, cause, remote=False, limited=False) is outside
