"""Fixtures for tests in any folder: boards, with `ssh` in PATH pointed at them.

`native_board` and `bare_board` are made anew for each test; `emulated_board` is one for a module, bare at
first: what a test sets up or changes there, the next one finds. For a board of another scope, or two at once,
use the classes in `board.native` and `board.emulated` with one `Access`.
"""

import pytest

from .access import Access
from .emulated import EmulatedBoard, why_not
from .native import NativeBoard


@pytest.fixture(scope="session")
def board_access(tmp_path_factory):
    """One key and one `ssh` for all boards of this process."""
    return Access(tmp_path_factory.mktemp("access"))


@pytest.fixture
def native_board(tmp_path, board_access, monkeypatch):
    """This machine's Python and this environment's packages behind sshd, with an empty home."""
    monkeypatch.setenv("PATH", board_access.path)
    with NativeBoard(tmp_path / "board", board_access) as board:
        yield board


@pytest.fixture
def bare_board(tmp_path, board_access, monkeypatch):
    """The same with an interpreter that has the standard library alone."""
    monkeypatch.setenv("PATH", board_access.path)
    with NativeBoard(tmp_path / "board", board_access, bare=True) as board:
        yield board


@pytest.fixture(scope="module")
def emulated_board(tmp_path_factory, board_access):
    """arm64 under emulation; skips where the kernel cannot be told to run arm64 programs."""
    if why := why_not():
        pytest.skip(why)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", board_access.path)
        with EmulatedBoard(tmp_path_factory.mktemp("board"), board_access) as board:
            yield board
