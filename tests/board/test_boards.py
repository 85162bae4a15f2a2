"""The boards themselves: what is bare is bare, and what befalls them does."""

import contextlib
import subprocess
import time

import pytest


def failed(board, command="true"):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        board.ask(command)
    return caught.value.returncode


def test_a_native_board_has_its_own_home_and_temporary_files(native_board):
    said = native_board.ask('pwd; echo "$TMPDIR"; touch mark; python3 -c "import paretune, numpy; print(1)"')
    home, temp, one = said.split()
    assert home.endswith("/home")
    assert temp.endswith("/tmp")
    assert one == "1"
    assert (native_board.home / "mark").exists()


def test_a_bare_board_has_the_standard_library_alone(bare_board):
    tried = "python3 -c 'import numpy' || python3 -c 'import paretune' || echo none"
    assert bare_board.ask(f"({tried}) 2>/dev/null").split() == ["none"]


@pytest.mark.slow
def test_what_befalls_a_board(native_board):
    board = native_board
    with _at_work(board) as line:
        board.cut()
        assert line.wait(timeout=100) == 255
    with _at_work(board) as line:
        board.kill_work()
        assert line.wait(timeout=100) not in (0, None)
    with _at_work(board) as line:
        board.hang()
        time.sleep(0.3)
        assert line.poll() is None
        board.resume()
        board.kill_work()
    before = board.ask("cat /proc/sys/kernel/random/boot_id; touch kept $TMPDIR/lost")
    with _at_work(board) as line:
        board.reboot(0.2)
        assert line.wait(timeout=100) == 255
    after = board.ask("cat /proc/sys/kernel/random/boot_id; ls . $TMPDIR | grep -v :")
    assert before not in after
    assert after.split()[1:] == ["kept"]
    board.say_at_login("Welcome, operator\n")
    assert board.ask("echo x") == "Welcome, operator\nx\n"
    board.ask_for_a_password()
    assert failed(board) == 255
    board.ask_for_a_password(False)
    board.new_host_key()
    assert failed(board) == 255


@contextlib.contextmanager
def _at_work(board):
    """An ssh line to something that runs there; what an earlier line left behind goes on beside it."""
    work = f"sleep {60 + len(board.commands())}"
    line = [board.access.folder / "ssh", "-p", str(board.port), "127.0.0.1", work]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL) as process:
        board.wait_for(work, 100)
        yield process
        process.kill()


def test_a_full_disk_is_full(native_board):
    native_board.fill_disk(leave_bytes=8192)
    assert failed(native_board, "head -c 100000 /dev/zero > file 2>/dev/null") == 1
    native_board.free_disk()
    native_board.ask("head -c 100000 /dev/zero > file")


@pytest.mark.slow
def test_an_emulated_board_is_arm64_and_bare(emulated_board):
    said = emulated_board.ask(
        "python3 -c 'import platform, sqlite3; print(platform.machine())'; "
        "python3 -c 'import numpy' 2>/dev/null || echo bare; grep -c asimddp /proc/cpuinfo; "
        "cat /sys/firmware/devicetree/base/model; pwd; touch x"
    )
    assert said.startswith("aarch64\nbare\n")
    assert said.endswith("/root\n")
    assert (emulated_board.home / "x").exists()
