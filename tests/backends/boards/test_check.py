"""`devices check` on a real board behind sshd: what it finds, remembers and leaves."""

import os
import signal
import subprocess
import sys
import time

import pytest
from paretune.backends.boards.check import check
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.shown import ROUND_TRIP, START, WORK, shown_by

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture
def board(native_board, tmp_path, monkeypatch):
    """With its profile at `board.path`, and a cache of its own here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    native_board.path = native_board.write_profile(tmp_path)
    return native_board


def command(board):
    asked = [sys.executable, "-m", "paretune.cli", "devices", "check", str(board.path)]
    return subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def left_there(board):
    """Files, and what still runs; a runner that lost its line has a moment to notice."""
    until = time.monotonic() + 60
    while board.working() and time.monotonic() < until:
        time.sleep(0.05)
    return [
        path for top in (board.home, board.temp) for path in top.rglob("*") if path.is_file()
    ], board.working()


def test_a_board_is_checked_and_left_as_it_was(board):
    profile, told = load_profile(str(board.path)), []
    found = check(profile, str(board.path), told.append)
    names = {finding.name for finding in found.findings}
    assert {"start_s", "versions", "workdir_disk_bytes", "memory_bytes", "governor", "told_apart"} <= names
    assert 0 < found.value("workdir_disk_bytes") <= board.disk_mb * 2**20
    assert found.value("versions")["there"]["numpy"]
    assert 0 < found.value("told_apart") < 1
    assert len(told) >= 4
    assert left_there(board) == ([], [])
    remembered = shown_by(profile)
    assert [len(remembered.times(what)) for what in (START, ROUND_TRIP, WORK)] == [1, 1, 1]


def test_a_full_disk_makes_it_unfit_and_the_exit_code_says_so(board):
    board.fill_disk(leave_bytes=50_000_000)
    process = command(board)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert out
    assert "Traceback" not in out + err


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(board):
    process = command(board)
    board.wait_for("paretune")
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - asked < 30
    assert left_there(board) == ([], [])


def test_a_board_that_is_off_is_an_error(board):
    board.down()
    process = command(board)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert not out
    assert "Traceback" not in err
