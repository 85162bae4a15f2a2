"""A board behind a program that takes ssh's arguments, asked what it is."""

import os
import platform
import sys
from dataclasses import replace

import pytest
from paretune.backends.boards.board import ask
from paretune.backends.boards.requirements import check_board
from paretune.profiles.devices.machine import read_machine
from paretune.profiles.errors import UserError


def test_a_board_says_what_it_is(launch, tmp_path):
    board = ask(launch)
    assert board.python.version == sys.version_info[:3]
    assert (board.system, board.machine) == (platform.system(), platform.machine())
    assert board.workdir.path == str(tmp_path / "home" / "w")
    assert board.workdir.nearest == str(tmp_path / "home")
    assert board.packages["numpy"]
    assert board.described() == read_machine(affinity=frozenset(os.sched_getaffinity(0)))
    check_board(board, launch)


def test_a_board_without_such_a_python_says_what_the_shell_said(launch):
    with pytest.raises(UserError, match="cannot be reached") as caught:
        ask(replace(launch, python="no-such-python"))
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
def test_a_python_for_which_there_is_nothing_is_refused(launch, monkeypatch, python, word):
    board = ask(launch)
    with pytest.raises(UserError) as caught:
        check_board(replace(board, python=replace(board.python, **python)), launch)
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
def test_a_work_folder_that_cannot_be_used_is_refused(launch, folder, word):
    board = ask(launch)
    with pytest.raises(UserError) as caught:
        check_board(replace(board, workdir=replace(board.workdir, **folder)), launch)
    assert word in caught.value.found
