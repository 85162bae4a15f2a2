"""Ends from outside on a device: waited for, tried once more, told from what a candidate does itself."""

import pytest
from paretune.backends.runner.client import Guard
from paretune.backends.runner.launch import LocalLaunch, SshLaunch
from paretune.backends.runner.trouble import Trouble, UnreachableError
from paretune.profiles.errors import StageError
from paretune.search.record.progress import Progress
from paretune.search.record.stops import DeviceGoneError, Interrupted
from paretune.search.stages.device import line as line_module
from paretune.search.stages.device.again import MOST_STARTS, Again
from paretune.search.stages.device.line import BOOT_S, Line

BOARD = SshLaunch(host="board", profile="my-board")


def unreachable(trouble=Trouble.SILENT):
    return UnreachableError(BOARD, trouble, found="Connection refused", remedy="look at it")


LOST = {"outside": True, "device": "my-board"}


class Board:
    """A device whose answers are scripted, with a clock of its own."""

    def __init__(self, monkeypatch, answers=(), *, patience=600.0, launch=BOARD, stop_after=None):
        self.now, self.answers, self.notes, self.forgotten = 0.0, list(answers), [], 0
        self.stop_after = stop_after
        monkeypatch.setattr(line_module, "start", self.start)
        progress = Progress()
        progress.note = self.notes.append
        self.line = Line(
            launch=launch,
            guard=Guard(patience_s=patience),
            progress=progress,
            checkpoint=self.checkpoint,
            clock=lambda: self.now,
            sleep=self.sleep,
        )
        self.again = Again(self.line, self.forget)

    def start(self, launch, open_s, memory_bytes, meanwhile):
        self.now += 0.5
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return self

    def kill(self):
        pass

    def sleep(self, seconds):
        self.now += seconds

    def checkpoint(self):
        if self.stop_after is not None and self.now > self.stop_after:
            raise Interrupted("interrupted")

    def forget(self):
        self.forgotten += 1

    def tried(self, *ends):
        """Work that ends in these ways, one after the other: an error is raised."""
        left = list(ends)

        def work():
            end = left.pop(0)
            if isinstance(end, Exception):
                raise end
            return end

        return self.again.tried(work)


def test_a_lost_line_is_waited_for_and_its_work_done_once_more(monkeypatch):
    board = Board(monkeypatch, [unreachable()] * 3)
    assert board.tried(StageError("score", "lost", **LOST), "numbers") == "numbers"
    assert board.forgotten == 1
    assert 1 < board.now < 30
    assert "my-board" in board.notes[0]
    assert len(board.notes) == 2


def test_what_brings_the_device_down_twice_has_failed_and_is_tried_by_the_next_run(monkeypatch):
    board = Board(monkeypatch, [unreachable(), None, unreachable(), None])
    with pytest.raises(StageError) as caught:
        board.tried(StageError("score", "lost", **LOST), StageError("score", "lost", **LOST), "never")
    assert caught.value.outside
    assert "my-board" in caught.value.cause


def test_a_device_that_is_away_before_the_work_begins_says_nothing_about_it(monkeypatch):
    board = Board(monkeypatch)
    ends = [unreachable()] * 2
    assert board.tried(*ends, StageError("score", "lost", **LOST), unreachable(), "numbers") == "numbers"
    with pytest.raises(StageError) as caught:
        board.tried(*[unreachable()] * MOST_STARTS)
    assert caught.value.outside


@pytest.mark.parametrize("patience", [0.0, 40.0])
def test_beyond_its_patience_the_study_ends(monkeypatch, patience):
    board = Board(monkeypatch, [unreachable()] * 99, patience=patience)
    with pytest.raises(DeviceGoneError) as caught:
        board.tried(StageError("score", "lost", **LOST), "never")
    assert patience <= board.now < patience + 10
    assert "my-board" in caught.value.problem
    assert "Connection refused" in caught.value.found


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.STRANGER, Trouble.NO_RUNNER, Trouble.HERE])
def test_what_does_not_mend_itself_is_not_waited_for(monkeypatch, trouble):
    board = Board(monkeypatch)
    with pytest.raises(DeviceGoneError):
        board.tried(unreachable(trouble), "never")
    assert board.now == 0


@pytest.mark.parametrize(
    ("trouble", "seconds"), [(Trouble.NO_RUNNER, BOOT_S), (Trouble.REFUSED, BOOT_S), (Trouble.STRANGER, 0)]
)
def test_a_device_that_starts_may_refuse_us_for_a_moment(monkeypatch, trouble, seconds):
    board = Board(monkeypatch, [unreachable(trouble)] * 99)
    with pytest.raises(DeviceGoneError):
        board.tried(StageError("score", "lost", **LOST), "never")
    assert seconds <= board.now < seconds + 40


def test_a_hang_is_the_candidates_where_the_device_answers(monkeypatch):
    hang = StageError("score", "no answer", silent=True, device="my-board")
    with pytest.raises(StageError) as caught:
        Board(monkeypatch).tried(hang, "never")
    assert not caught.value.outside
    board = Board(monkeypatch, [unreachable(), unreachable()])
    assert board.tried(hang, "numbers") == "numbers"


def test_a_full_disk_there_is_from_outside(monkeypatch):
    with pytest.raises(StageError) as caught:
        Board(monkeypatch).tried(unreachable(Trouble.FULL))
    assert caught.value.outside


def test_a_stop_ends_the_wait(monkeypatch):
    board = Board(monkeypatch, [unreachable()] * 99, stop_after=5.0)
    with pytest.raises(Interrupted):
        board.tried(StageError("score", "lost", **LOST), "never")
    assert board.now < 7


def test_on_this_machine_nothing_is_waited_for(monkeypatch):
    board = Board(monkeypatch, launch=LocalLaunch())
    assert board.tried(StageError("score", "killed", outside=True), "numbers") == "numbers"
    with pytest.raises(StageError):
        board.tried(StageError("score", "no answer", silent=True), "never")
    killed = StageError("score", "killed", outside=True)
    with pytest.raises(StageError) as caught:
        board.tried(killed, killed, "never")
    assert caught.value is killed
    assert killed.__cause__ is None, "an error that is its own cause has no end"
    assert board.now == 0
