"""The lease of a device from the study's side: here, and on a board behind ssh."""

import threading
from contextlib import ExitStack, closing

import pytest
from lease_holders import forked, hold, stand_in_a_step
from paretune.backends.lease.place import FOLDER_VARIABLE
from paretune.backends.lease.quiet import Quiet
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch, SshLaunch
from paretune.backends.runner.leased import DeviceLease, Holder, LeasedClient, holder_of
from paretune.backends.runner.trouble import UnreachableError
from paretune.profiles.errors import StageError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


@pytest.fixture
def board_launch(native_board):
    reach = native_board.profile()["reach"]
    return SshLaunch(**{name: reach[name] for name in ("host", "port", "user", "python")})


class StopError(Exception):
    pass


def test_waiting_is_told_and_counted_and_can_be_ended():
    told, waited = [], []

    def tell(text, seconds):
        told.append((text, seconds))
        if len(told) == 2:
            raise StopError

    lease = DeviceLease(LocalLaunch(), study="mine", tell=tell, waited=waited.append)
    with forked(hold, "digits") as (pipe, process):
        pipe.recv()
        with pytest.raises(StopError), lease.held():
            pytest.fail("others have it")
        assert [text for text, _ in told] == [
            f"waiting for this machine: anna@laptop measures there since {told[0][0].split('since ')[1]}"
        ] * 2
        assert f"(study digits, process {process.pid} there)" in told[0][0]
        assert 1.0 <= told[0][1] < told[1][1] == pytest.approx(waited[0], abs=0.5)
    with lease.held(), lease.held():
        assert lease.number is not None
    assert lease.number is None
    assert lease.impossible == ""


def test_what_meanwhile_raises_ends_the_wait():
    def meanwhile():
        raise KeyboardInterrupt

    lease = DeviceLease(LocalLaunch(), meanwhile=meanwhile)
    with forked(hold) as (pipe, _):
        pipe.recv()
        with pytest.raises(KeyboardInterrupt), lease.held():
            pytest.fail("others have it")


def test_on_this_machine_only_what_is_measured_needs_the_lease():
    lease = DeviceLease(LocalLaunch())
    with forked(hold) as (pipe, _):
        pipe.recv()
        with lease.held_elsewhere():
            assert lease.number is None


def test_what_is_measured_and_what_computes_on_this_machine_take_turns():
    first, second, order = DeviceLease(LocalLaunch()), DeviceLease(LocalLaunch()), []

    def compute():
        with second.held_elsewhere():
            order.append("computed")

    with first.held(), first.held_elsewhere():  # its own work goes on within
        computing = threading.Thread(target=compute)
        computing.start()
        computing.join(0.2)
        order.append("measured")
        assert first.beside == ""
    computing.join(30)
    assert order == ["measured", "computed"]


def test_what_does_not_pause_is_told_and_waiting_for_it_is_counted():
    told, waited = [], []
    lease = DeviceLease(LocalLaunch(), tell=lambda text, _: told.append(text), waited=waited.append)
    lease._holding._quiet = Quiet(1.1)
    with forked(stand_in_a_step) as (pipe, _):
        pipe.recv()
        with lease.held():
            assert "did not pause within 1.1 s" in lease.beside
    assert told == ["waiting for this machine: a step of another paretune is to end"]
    assert waited[0] >= 1.1
    with lease.held():
        assert lease.beside == ""


def test_a_device_without_a_place_for_it_is_measured_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
    noted = []
    lease = DeviceLease(LocalLaunch(), note=noted.append)
    (remark,) = lease.remarks()
    assert "none" in remark
    with lease.held(), LeasedClient(lease) as runner:
        assert runner.hello().pid
    assert noted == []  # it was known
    (tmp_path / "none").mkdir()
    with lease.held():
        assert lease.number is not None
    (tmp_path / "none" / "paretune-lease").unlink()
    (tmp_path / "none" / "paretune-lease").mkdir()
    with lease.held():
        assert lease.number is None
    assert "paretune-lease is no file" in noted[0]


def test_requests_of_a_lease_that_has_passed_on_are_refused_and_tried_again():
    lease = DeviceLease(LocalLaunch())
    with ExitStack() as stack:
        runner = stack.enter_context(LeasedClient(lease))
        with lease.held():
            runner.hello()
            lease._holding._operations["give_lease_back"]({})  # as if others had found it dead
            pipe, _ = stack.enter_context(forked(hold))
            pipe.recv()
            with pytest.raises(StageError) as caught:
                runner.memory()
        assert caught.value.outside
        assert runner.ended.outside


@pytest.mark.slow
@pytest.mark.alone
def test_one_study_at_a_time_has_a_board_also_from_two_machines(native_board, board_launch):
    told = []

    def stop(text, _):
        told.append(text)
        raise StopError

    with ExitStack() as stack:
        first = stack.enter_context(closing(DeviceLease(board_launch, study="first")))
        assert first.remarks() == ()
        with first.held(), LeasedClient(first) as runner:
            held, impossible = holder_of(runner)
            assert (held.study, impossible) == ("first", "")
            second = stack.enter_context(closing(DeviceLease(board_launch, study="second", tell=stop)))
            with pytest.raises(StopError), second.held():
                pytest.fail("the first has it")
            assert "study first" in told[0]
        with RunnerClient(board_launch) as runner:
            assert holder_of(runner) == (None, "")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("event", ["cut", "kill_work"])
def test_the_lease_of_an_owner_that_is_gone_is_taken_over(native_board, board_launch, event):
    with closing(DeviceLease(board_launch)) as first, closing(DeviceLease(board_launch)) as second:
        with first.held():
            number = first.number
            getattr(native_board, event)()
            with second.held():
                assert second.number == number + 1
        with first.held():  # by another process there
            assert first.number == number + 2


@pytest.mark.slow
@pytest.mark.alone
def test_a_line_that_is_lost_in_a_wait_says_nothing_about_what_waits(native_board, board_launch):
    def tell(*_):
        native_board.cut()

    with ExitStack() as stack:
        first = stack.enter_context(closing(DeviceLease(board_launch)))
        second = stack.enter_context(closing(DeviceLease(board_launch, tell=tell)))
        with first.held(), pytest.raises(UnreachableError) as caught, second.held():
            pytest.fail("the first has it")
        assert caught.value.trouble.mends


@pytest.mark.slow
@pytest.mark.alone
def test_an_owner_that_wakes_up_measures_nothing_beside_the_next(native_board, board_launch):
    """Its runners live on, as those of a laptop that slept; the process that held its lease has ended."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(closing(DeviceLease(board_launch))) for _ in range(2))
        runner = stack.enter_context(LeasedClient(first))
        with first.held():
            runner.hello()
            told, _ = holder_of(runner)
            native_board.ask(f"kill -9 {told.pid}")
            with second.held():
                with pytest.raises(StageError, match="others have the device") as caught:
                    runner.memory()
                assert caught.value.outside


def test_a_lease_is_given_back_where_two_threads_take_turns():
    first, second = DeviceLease(LocalLaunch()), DeviceLease(LocalLaunch())
    held = []

    def work(lease):
        for _ in range(20):
            with lease.held():
                held.append(lease)
                assert held.pop() is lease

    threads = [threading.Thread(target=work, args=(lease,)) for lease in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert held == []


def test_a_holder_of_whom_nothing_is_known_is_somebody():
    assert str(Holder()) == "somebody measures there"
