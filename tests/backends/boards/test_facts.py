"""A board behind a program that takes ssh's arguments, asked what it is."""

import os
import platform
import stat
import sys
from dataclasses import replace

import pytest
from paretune.backends.boards.board import ask
from paretune.backends.boards.requirements import check_board
from paretune.backends.runner.launch import SshLaunch
from paretune.profiles.devices.machine import read_machine
from paretune.profiles.errors import UserError


@pytest.fixture
def login(tmp_path):
    """A program with ssh's command line that runs the remote command in a shell in another directory."""
    home = tmp_path / "home"
    home.mkdir()
    program = tmp_path / "ssh"
    program.write_text(
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\n"
        f"cd '{home}' && printf 'Welcome, operator' && exec ${{BOARD_SHELL:-sh}} -c \"$1\"\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def launch_by(login, **given):
    return SshLaunch(
        **{"host": "board", "python": sys.executable, "workdir": "w", "ssh": str(login), **given}
    )


def test_a_board_says_what_it_is(login, tmp_path):
    board = ask(launch_by(login))
    assert board.python.version == sys.version_info[:3]
    assert (board.system, board.machine) == (platform.system(), platform.machine())
    assert board.workdir.path == str(tmp_path / "home" / "w")
    assert board.workdir.nearest == str(tmp_path / "home")
    assert board.packages["numpy"]
    assert board.described() == read_machine(affinity=frozenset(os.sched_getaffinity(0)))
    check_board(board, launch_by(login))


def test_a_board_without_such_a_python_says_what_the_shell_said(login):
    with pytest.raises(UserError, match="cannot be reached") as caught:
        ask(launch_by(login, python="no-such-python"))
    assert "no-such-python" in caught.value.found


@pytest.mark.parametrize(
    ("python", "word"),
    [
        ({"version": (3, 9, 2)}, "3.9.2"),
        ({"implementation": "pypy"}, "pypy"),
        ({"bits": 32}, "32-bit"),
        ({"libc": ""}, "musl"),
    ],
)
def test_a_python_for_which_there_is_nothing_is_refused(login, monkeypatch, python, word):
    board = ask(launch_by(login))
    with pytest.raises(UserError) as caught:
        check_board(replace(board, python=replace(board.python, **python)), launch_by(login))
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "word"),
    [
        ({"writable": False}, "may not be written"),
        ({"read_only": True}, "read-only"),
        ({"executable": False}, "noexec"),
        ({"is_folder": False}, "no folder"),
    ],
)
def test_a_work_folder_that_cannot_be_used_is_refused(login, folder, word):
    board = ask(launch_by(login))
    with pytest.raises(UserError) as caught:
        check_board(replace(board, workdir=replace(board.workdir, **folder)), launch_by(login))
    assert word in caught.value.found
