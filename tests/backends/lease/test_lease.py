"""No two ever hold a device's lease, however its holders end; whoever lost it is refused."""

import itertools
import os
import signal
import threading
import time

import pytest
from lease_holders import forked, hold, taken, until_somebody_stands_in_line
from paretune.backends.lease.lease import UNTOLD, Lease, LeaseLostError, at_work, holder
from paretune.backends.lease.place import FOLDER_VARIABLE, NoLeaseError, folder, path_of
from paretune.backends.lease.said import SAID_BYTES, number_after, number_in, said_by, text_of


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def take_often(pipe, times):
    lease = Lease()
    for _ in range(times):
        number, started = taken(lease), time.monotonic_ns()
        time.sleep(0.002)
        pipe.send((started, time.monotonic_ns(), number))
        lease.give_back()
    pipe.send(None)


def test_of_many_takers_no_two_ever_hold_it(place):
    takers, times = 16, 4
    held = []

    def listen():
        with forked(take_often, times) as (pipe, _):
            held.extend(iter(pipe.recv, None))

    threads = [threading.Thread(target=listen) for _ in range(takers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == takers * times
    held.sort()
    assert all(end <= start for (_, end, _), (start, _, _) in itertools.pairwise(held))
    numbers = [number for _, _, number in held]
    assert numbers == list(range(numbers[0], numbers[0] + len(held)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lease_of_a_process_that_was_killed_is_free(number):
    with forked(hold) as (pipe, process):
        pipe.recv()
        lease = Lease()
        assert taken(lease, 0.05) is None
        os.kill(process.pid, number)
        assert taken(lease) is not None
    lease.give_back()


def test_who_holds_it_is_told_until_it_is_given_back():
    assert holder() is None
    with forked(hold, "digits") as (pipe, process):
        pipe.recv()
        told = holder()
        assert told.pop("seconds") < 10
        assert told == {"who": "anna@laptop", "study": "digits", "pid": process.pid, "stopped": False}
        os.kill(process.pid, signal.SIGSTOP)
        until = time.monotonic() + 60
        while not holder()["stopped"]:
            assert time.monotonic() < until
        os.kill(process.pid, signal.SIGCONT)
        pipe.send("enough")
        pipe.recv()
        assert holder() is None  # although the file still has a name


def test_who_gives_back_and_takes_again_comes_behind_those_who_wait():
    mine, others = Lease(), Lease()
    first = taken(mine)
    order = []

    def wait():
        order.append(("other", taken(others)))
        others.give_back()

    thread = threading.Thread(target=wait)
    thread.start()
    until_somebody_stands_in_line()
    mine.give_back()
    order.append(("mine", taken(mine)))
    thread.join()
    mine.give_back()
    assert sorted(order, key=lambda entry: entry[1]) == [("other", first + 1), ("mine", first + 2)]


def test_one_killed_while_it_was_first_in_line_is_forgotten():
    lease, last = Lease(), Lease()
    taken(lease)
    with forked(hold) as (_, process):
        until_somebody_stands_in_line()
        process.kill()
        process.join()
        assert taken(last, 0.05) is None
        lease.give_back()
        assert taken(last) is not None
    last.give_back()


def test_one_that_gave_up_waiting_leaves_the_lease_to_others():
    lease, gave_up, other = Lease(), Lease(), Lease()
    taken(lease)
    assert taken(gave_up, 0.05) is None
    gave_up.give_back()
    lease.give_back()
    assert taken(other) is not None
    other.give_back()


def test_work_under_a_lease_that_has_passed_on_is_refused():
    with forked(hold) as (pipe, process):
        old = pipe.recv()
        with at_work(old):
            pass
        process.kill()
        process.join()
        with at_work(old):  # nobody else has it: what is measured still counts
            pass
        lease = Lease()
        new = taken(lease)
        with pytest.raises(LeaseLostError), at_work(old):
            pytest.fail("it was let in")
        with at_work(new):
            pass
        lease.give_back()


def test_a_new_holder_waits_for_what_an_earlier_one_left_running():
    first, second = Lease(), Lease()
    number = taken(first)
    with at_work(number):
        first.give_back()
        assert taken(second, 0.1) is None
        assert second.waits_for_work
        with pytest.raises(LeaseLostError), at_work(number):
            pytest.fail("it was let in")
    assert taken(second) == number + 1
    second.give_back()


def test_a_file_that_was_removed_does_not_repeat_a_number():
    first, second = Lease(), Lease()
    number = taken(first)
    path_of("").unlink()
    assert taken(second) != number
    with pytest.raises(LeaseLostError), at_work(number):
        pytest.fail("it was let in")
    first.give_back()
    second.give_back()


def a_link(path, place):
    other = place / "other"
    other.touch()
    path.symlink_to(other)


def a_second_name(path, place):
    other = place / "other"
    other.write_text("mine")
    path.hardlink_to(other)


TRAPS = {
    "folder": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "link": a_link,
    "link to nothing": lambda path, place: path.symlink_to(place / "nothing"),
    "second name": a_second_name,
}


@pytest.mark.parametrize("name", ["", "next", "work"])
@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_no_file_is_named_and_left_as_it_is(trap, name, place):
    TRAPS[trap](path_of(name), place)
    for asked in (holder, lambda: Lease().take({}, 5)):
        with pytest.raises(NoLeaseError, match=str(path_of(name))):
            asked()
    other = place / "other"
    assert not other.exists() or other.read_text() in ("", "mine")
    assert not (place / "nothing").exists()


def test_a_folder_that_is_not_there_is_named(place, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(place / "none"))
    with pytest.raises(NoLeaseError, match="none"):
        Lease().take({}, 5)
    with pytest.raises(NoLeaseError, match="none"):
        holder()


def test_a_folder_that_each_process_takes_for_another_is_refused(monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, "leases")
    with pytest.raises(NoLeaseError, match="absolute"):
        holder()


def test_without_space_for_its_number_it_still_is_one(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    lease, other = Lease(), Lease()
    monkeypatch.setattr(os, "pwrite", full)
    assert taken(lease) == UNTOLD
    assert taken(other, 0.05) is None
    with at_work(UNTOLD):
        pass
    lease.give_back()
    assert taken(other) == UNTOLD
    other.give_back()


def test_the_usual_place_does_not_depend_on_who_asks(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE)
    before = folder()
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert folder() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * SAID_BYTES,
        b"[" * SAID_BYTES,
        b"0" * 16 + b"\n{}",
        b"9" * 16 + b"\n{}",
        b"%016d\n" % (2**53) + b'{"who": 3, "study": ["x"], "pid": -1, "taken_s": 1e99}',
        b'-000000000000001\n{"pid": true, "taken_s": NaN}',
    ],
)
def test_nonsense_in_its_file_means_nothing(content, place):
    path_of("").write_bytes(content)
    assert number_in(content) is None
    assert 0 < number_after(content) < 2**53
    assert said_by(content) == {}
    lease = Lease()
    number = taken(lease)
    assert number_in(path_of("").read_bytes()) == number
    lease.give_back()


def test_what_owners_say_is_cut_and_cannot_steer_a_terminal():
    content = text_of(7, {"who": "\x1b[2J" + "w" * 5000, "study": "\udcff\n" + "ü" * 5000})
    assert len(content) == SAID_BYTES
    assert number_in(content) == 7
    told = said_by(content)
    assert all(text.isprintable() and len(text) <= 100 for text in (told["who"], told["study"]))


def test_numbers_never_run_out():
    last = text_of(2**53 - 1, {})
    assert number_in(last) == 2**53 - 1
    assert 0 < number_after(last) < 2**52
