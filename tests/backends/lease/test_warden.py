"""A process that holds a lease for somebody elsewhere gives it back when it hears no more from there."""

import os
import signal
import time

import pytest
from lease_holders import forked, hold, taken
from paretune.backends.lease.lease import Lease, at_work
from paretune.backends.lease.place import FOLDER_VARIABLE
from paretune.backends.lease.warden import BEAT_S, SILENCE_S, Warden

SHORT_S = 0.4
ASKED = {"who": "anna@laptop", "study": "digits", "wait_s": 0.05}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


def serve(pipe):
    operations = Warden(silence_s=SHORT_S, look_s=0.05).operations
    while True:
        operation, body = pipe.recv()
        pipe.send(operations[operation](body))


def ask(pipe, operation, **body):
    pipe.send((operation, body))
    return pipe.recv()


def test_a_warden_that_hears_nothing_ends_and_others_have_the_lease():
    with forked(serve) as (pipe, process):
        assert ask(pipe, "take_lease", **ASKED)["number"] is not None
        lease = Lease()
        assert taken(lease, SHORT_S / 2) is None
        assert taken(lease, 10) is not None
        process.join(5)
        assert process.exitcode == 1
    lease.give_back()


def test_it_keeps_the_lease_while_it_hears_something_and_lives_on_without_one():
    with forked(serve) as (pipe, process):
        number = ask(pipe, "take_lease", **ASKED)["number"]
        for _ in range(8):
            time.sleep(SHORT_S / 4)
            ask(pipe, "beat")
        lease = Lease()
        assert taken(lease, 0.05) is None
        ask(pipe, "give_lease_back")
        assert taken(lease) == number + 1
        time.sleep(1.5 * SHORT_S)  # nothing is expected of who has nothing
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
        process.join(10)
        assert process.exitcode == 1
        lease.give_back()
        assert taken(other, 5) is not None
    other.give_back()


def test_time_in_which_it_stood_still_itself_is_no_silence():
    with forked(serve) as (pipe, process):
        ask(pipe, "take_lease", **ASKED)
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.5 * SHORT_S)
        os.kill(process.pid, signal.SIGCONT)
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
    warden, end, number = Warden(watched=False, silence_s=silence_s), time.monotonic() + seconds, None
    while number is None and time.monotonic() < end:
        number = warden.take(ASKED)["number"]
    warden.give_back({})
    return number


def test_one_that_was_stopped_and_cannot_see_that_its_line_is_gone_is_ended_by_who_waits():
    with forked(serve) as (pipe, process):
        number = ask(pipe, "take_lease", **ASKED)["number"]
        os.kill(process.pid, signal.SIGSTOP)
        assert waited_for(SHORT_S, 10) == number + 1
        process.join(5)
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
        assert waited_for(SHORT_S, 10) == number + 1
        process.join(5)
        assert process.exitcode == -signal.SIGKILL
    with forked(hold) as (pipe, process):
        pipe.recv()
        os.kill(process.pid, signal.SIGSTOP)
        assert waited_for(SHORT_S / 4, SHORT_S) is None
        assert process.is_alive()
