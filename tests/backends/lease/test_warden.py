"""A process that holds a lease for somebody elsewhere gives it back when it hears no more from there."""

import os
import signal
import time

import pytest
from lease_holders import forked, hold, taken
from paretune.backends.lease import warden
from paretune.backends.lease.lease import Lease, at_work
from paretune.backends.lease.place import FOLDER_VARIABLE
from paretune.backends.lease.warden import BEAT_S, SILENCE_S, Warden
from stepped_clock import SteppedClock

SHORT_S = 0.2
LOOKS = 4
"""So many looks without a word are silence."""
ASKED = {"who": "anna@laptop", "study": "digits", "wait_s": 0.05}
PATIENT = {**ASKED, "wait_s": 5.0}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


def serve(pipe):
    """A warden whose time goes on when it is told so."""
    warden.time = clock = SteppedClock()
    operations = {
        **Warden(silence_s=LOOKS, look_s=1.0).operations,
        "pass": lambda body: clock.go_on(body["seconds"]),
    }
    while True:
        operation, body = pipe.recv()
        pipe.send(operations[operation](body))


def ask(pipe, operation, **body):
    pipe.send((operation, body))
    return pipe.recv()


def without_a_word(pipe, looks):
    for _ in range(looks):
        ask(pipe, "pass", seconds=1.0)


def test_a_warden_that_hears_nothing_ends_and_others_have_the_lease():
    with forked(serve) as (pipe, process):
        assert ask(pipe, "take_lease", **PATIENT)["number"] is not None
        without_a_word(pipe, LOOKS - 1)
        lease = Lease()
        assert taken(lease, 0.05) is None
        with pytest.raises(EOFError):
            without_a_word(pipe, 1)
        process.join()
        assert process.exitcode == 1
        assert taken(lease) is not None
    lease.give_back()


def test_it_keeps_the_lease_while_it_hears_something_and_lives_on_without_one():
    with forked(serve) as (pipe, process):
        number = ask(pipe, "take_lease", **PATIENT)["number"]
        for _ in range(3):
            without_a_word(pipe, LOOKS - 1)
            ask(pipe, "beat")
        lease = Lease()
        assert taken(lease, 0.05) is None
        ask(pipe, "give_lease_back")
        assert taken(lease) == number + 1
        without_a_word(pipe, LOOKS + 2)  # nothing is expected of who has nothing
        told = ask(pipe, "take_lease", **ASKED)
        assert told["number"] is None
        assert told["holder"]["pid"] == os.getpid()
        assert not told["work"]
        assert process.is_alive()
    lease.give_back()


def test_one_that_waits_without_a_word_leaves_the_line():
    lease, other = Lease(), Lease()
    taken(lease)
    with forked(serve) as (pipe, process):
        assert ask(pipe, "take_lease", **ASKED)["number"] is None
        with pytest.raises(EOFError):
            without_a_word(pipe, LOOKS)
        process.join()
        assert process.exitcode == 1
        lease.give_back()
        assert taken(other) is not None
    other.give_back()


def test_time_in_which_it_stood_still_itself_is_no_silence():
    with forked(serve) as (pipe, process):
        ask(pipe, "take_lease", **PATIENT)
        ask(pipe, "pass", seconds=1000.0)
        without_a_word(pipe, LOOKS - 2)
        ask(pipe, "beat")
        assert process.is_alive()


def test_why_there_is_no_lease_is_an_answer(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
    operations = Warden(watched=False).operations
    for operation in ("take_lease", "lease_holder"):
        assert "none" in operations[operation](ASKED)["impossible"]


def test_several_words_are_expected_before_it_gives_up():
    assert 3 * BEAT_S < SILENCE_S


def waited_for(silence_s, seconds):
    """The number that a warden of its own gets within so many seconds, where it is that patient."""
    waiting, end, number = Warden(watched=False, silence_s=silence_s), time.monotonic() + seconds, None
    while number is None and time.monotonic() < end:
        number = waiting.take(ASKED)["number"]
    waiting.give_back({})
    return number


def test_one_that_was_stopped_and_cannot_see_that_its_line_is_gone_is_ended_by_who_waits():
    with forked(serve) as (pipe, process):
        number = ask(pipe, "take_lease", **PATIENT)["number"]
        os.kill(process.pid, signal.SIGSTOP)
        assert waited_for(SHORT_S, 60) == number + 1
        process.join()
        assert process.exitcode == -signal.SIGKILL


def work(pipe, number):
    with at_work(number):
        pipe.send("at work")
        pipe.recv()


def test_work_that_was_stopped_is_ended_and_a_study_that_its_user_stopped_is_not():
    lease = Lease()
    number = taken(lease)
    with forked(work, number) as (pipe, process):
        pipe.recv()
        os.kill(process.pid, signal.SIGSTOP)
        lease.give_back()
        assert waited_for(SHORT_S, 60) == number + 1
        process.join()
        assert process.exitcode == -signal.SIGKILL
    with forked(hold) as (pipe, process):
        pipe.recv()
        os.kill(process.pid, signal.SIGSTOP)
        assert waited_for(SHORT_S / 4, SHORT_S) is None
        assert process.is_alive()
