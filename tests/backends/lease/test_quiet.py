"""What computes on a machine pauses for what measures, whoever dies or stands still. Processes are real ones;
what they did when is told by a clock that all of them share."""

import os
import signal
import threading
import time
from contextlib import ExitStack

import pytest
from lease_holders import forked, stand_in_a_step
from paretune.backends.lease import quiet
from paretune.backends.lease.lease import Lease
from paretune.backends.lease.place import FOLDER_VARIABLE
from paretune.backends.lease.quiet import Computing, Quiet

STEP_S = 0.004


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(quiet, "_LOOK_S", 0.02)
    return tmp_path


def train(pipe, steps=None):
    """Steps as those of a training, until the pipe says something; tells when each was."""
    at_work, found = Computing(), []
    pipe.send("begins")
    while not pipe.poll() and steps != len(found):
        with at_work():
            began = time.monotonic_ns()
            time.sleep(STEP_S)
            found.append((began, time.monotonic_ns()))
    pipe.send(found)
    pipe.recv()


def measure(pipe, seconds=30.0):
    one = Quiet()
    one.begin()
    pipe.send("measures")
    pipe.poll(seconds)
    one.end()
    pipe.send("done")
    pipe.recv()


def measured_for(seconds, longest_s=30.0):
    one = Quiet(longest_s)
    asked = time.monotonic()
    one.begin()
    began = time.monotonic_ns()
    waited = time.monotonic() - asked
    time.sleep(seconds)
    beside, ended = one.beside, time.monotonic_ns()
    one.end()
    return (began, ended), beside, waited


def test_no_step_of_two_trainings_overlaps_a_measurement():
    with ExitStack() as stack:
        pipes = [stack.enter_context(forked(train))[0] for _ in range(2)]
        for pipe in pipes:
            pipe.recv()
        measured = []
        for _ in range(20):
            rounds, beside, _ = measured_for(0.01)
            assert beside == ""
            measured.append(rounds)
            time.sleep(2 * STEP_S)
        for pipe in pipes:
            pipe.send("enough")
        steps = [pipe.recv() for pipe in pipes]
    for of_one in steps:
        assert len(of_one) >= 10  # they go on in between
        for began, ended in of_one:
            assert all(end <= began or ended <= start for start, end in measured)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_that_was_killed_in_a_step_holds_nobody_up(number):
    with forked(stand_in_a_step) as (pipe, process):
        pipe.recv()
        killer = threading.Timer(0.1, os.kill, (process.pid, number))
        killer.start()
        _, beside, waited = measured_for(0.0)
        assert beside == ""
        assert 0.05 < waited < 20


def test_a_measurement_that_was_killed_lets_trainings_go_on():
    with forked(measure) as (measuring, process):
        measuring.recv()
        with forked(train, 1) as (pipe, _):
            pipe.recv()
            assert not pipe.poll(0.2)
            process.kill()
            assert len(pipe.recv()) == 1


def test_what_stands_still_in_a_step_is_measured_beside_and_told_if_it_goes_on():
    with forked(stand_in_a_step) as (pipe, process):
        pipe.recv()
        os.kill(process.pid, signal.SIGSTOP)
        _, beside, waited = measured_for(0.0, longest_s=30.0)
        assert waited < 20
        assert beside == ""  # it still stands still
        one = Quiet(30.0)
        one.begin()
        os.kill(process.pid, signal.SIGCONT)
        end = time.monotonic() + 20
        while not one.beside and time.monotonic() < end:
            time.sleep(0.005)
        assert "suspended before" in one.beside
        one.end()


def test_what_does_not_pause_in_time_is_measured_beside_and_told():
    with forked(stand_in_a_step) as (pipe, _):
        pipe.recv()
        _, beside, waited = measured_for(0.0, longest_s=0.1)
        assert waited >= 0.1
        assert "did not pause within 0.1 s" in beside


def measure_with_the_lease(pipe):
    Lease().take({"who": "anna"}, 10)
    measure(pipe)


def test_a_measurement_that_stands_still_does_not_hold_trainings_up_for_ever():
    with forked(measure_with_the_lease) as (measuring, process):
        measuring.recv()
        os.kill(process.pid, signal.SIGSTOP)
        with forked(train, 1) as (pipe, _):
            pipe.recv()
            assert len(pipe.recv()) == 1
        os.kill(process.pid, signal.SIGCONT)


def test_a_wait_can_be_ended_is_counted_and_leaves_nothing():
    waited = []

    def enough():
        raise KeyboardInterrupt

    with forked(measure) as (measuring, _):
        measuring.recv()
        at_work = Computing(meanwhile=enough, waited=waited.append)
        with pytest.raises(KeyboardInterrupt), at_work():
            pytest.fail("it is measured here")
        with pytest.raises(KeyboardInterrupt):
            Quiet().begin(enough)
        assert len(waited) == 1
        measuring.send("enough")
        measuring.recv()
        with at_work():
            pass
        assert measured_for(0.0)[1] == ""


def test_a_thread_that_measures_computes_as_well_and_blocks_within_are_one():
    one, at_work = Quiet(), Computing()
    one.begin()
    with at_work(), Computing()():
        pass
    one.end()
    with at_work(), at_work():
        nested = Quiet()
        nested.begin()
        nested.end()
    assert measured_for(0.0)[2] < 20


def test_files_that_were_removed_are_made_anew(place):
    at_work = Computing()
    with at_work():
        pass
    for path in place.iterdir():
        path.unlink()
    time.sleep(0.03)
    with at_work():
        pass
    with forked(train) as (pipe, _):
        pipe.recv()
        _, beside, _ = measured_for(0.0)
        pipe.send("enough")
        assert (beside, len(pipe.recv()) >= 0) == ("", True)


def test_where_there_is_no_place_for_it_nobody_waits(place, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(place / "none"))
    with Computing()():
        assert measured_for(0.0)[1] == ""
    assert measured_for(0.0)[1] == ""


def test_a_step_costs_microseconds():
    at_work, count = Computing(), 2000
    started = time.process_time()
    for _ in range(count):
        with at_work():
            pass
    assert (time.process_time() - started) / count < 200e-6
