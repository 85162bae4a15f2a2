"""A board behind a program that takes ssh's arguments, asked what it is."""

import contextlib
import os
import platform
import sys
from dataclasses import replace

import pytest
from paretune.backends.boards.board import ask
from paretune.backends.boards.pythons import pythons
from paretune.backends.boards.requirements import check_board
from paretune.profiles.devices.machine import read_machine
from paretune.profiles.errors import StageError, UserError


def test_a_board_says_what_it_is(launch, tmp_path):
    board = ask(launch)
    assert board.python.version == sys.version_info[:3]
    assert (board.system, board.machine) == (platform.system(), platform.machine())
    assert board.workdir.path == str(tmp_path / "home" / "w")
    assert board.workdir.nearest == str(tmp_path / "home")
    assert board.packages["numpy"]
    assert board.described() == read_machine(affinity=frozenset(os.sched_getaffinity(0)))
    check_board(board, launch)


def test_a_board_without_such_a_python_says_what_the_shell_said_and_what_there_is(launch):
    with pytest.raises(UserError) as caught:
        ask(replace(launch, python="no-such-python"))
    assert "no-such-python" in caught.value.problem
    assert all(path in caught.value.found for path in pythons(launch)[:3])


@pytest.mark.parametrize("program", ["cat", "false"])
def test_a_program_that_is_no_python_is_told(launch, program):
    with pytest.raises(UserError) as caught:
        ask(replace(launch, python=program))
    assert program in caught.value.problem


@pytest.mark.parametrize("answer", ["", "{", "[]", "{}", '{"python": 1}', '{"python": {"version": "x"}}'])
def test_an_answer_that_is_none_is_told(launch, tmp_path, answer):
    """A program in the place of Python, which reads ours and its request, and answers something else."""
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\nimport json, re, sys\n"
        "size = int(re.search(r'read.(\\d+)', sys.argv[2])[1])\nsys.stdin.buffer.read(size)\n"
        f"print(chr(10) + json.loads(sys.stdin.buffer.readline())['word'] + {answer!r})\n"
    )
    program.chmod(0o755)
    with pytest.raises(StageError):
        ask(replace(launch, python=str(program)))


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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("proc/self/cgroup", "x"),
        ("sys/devices/system/cpu/cpu0/cache/index0/level", "?"),
        ("proc/cpuinfo", "\ud800"),
        ("../../out", "x"),
        ("proc/meminfo", "MemTotal: none"),
    ],
)
def test_what_a_board_shows_of_its_kernel_is_foreign_data(launch, tmp_path, name, content):
    board = ask(launch)
    sizes = {f"sys/devices/system/cpu/cpu0/cache/index0/{key}": value for key, value in _CACHE.items()}
    odd = replace(board, cpus=(0,), files={**board.files, **sizes, name: content})
    with contextlib.suppress(UserError):
        assert odd.described().threads == 1
    with pytest.raises(UserError):
        replace(board, cpus=()).described()


_CACHE = {"size": "32K", "type": "Data", "level": "1"}


def test_a_machine_without_ssh_says_so(launch):
    with pytest.raises(UserError) as caught:
        ask(replace(launch, ssh="/no/such/ssh"))
    assert "/no/such/ssh" in caught.value.problem
