"""A board without a profile: how it is reached, and the new file that it gets."""

import re
from dataclasses import replace

import pytest
from paretune.backends.boards.board import ask
from paretune.backends.boards.drafting import draft, file_for, reach_of
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.schema import SshReach
from paretune.profiles.errors import UserError


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("pi@board.local", {"host": "board.local", "user": "pi"}),
        ("board", {"host": "board"}),
        ("board:2222", {"host": "board", "port": 2222}),
        ("me@[fe80::1%eth0]:22", {"host": "fe80::1%eth0", "user": "me", "port": 22}),
    ],
)
def test_how_a_board_is_reached(text, reach):
    assert reach_of(text) == SshReach(**reach)
    assert reach_of(text, "/opt/python") == SshReach(**reach, python="/opt/python")


@pytest.mark.parametrize(
    "text", ["", "a b", "me@", "@board", "board:0", "board:99999", "-oX", "a@b@c", "board:x", "fe80::1:22:x"]
)
def test_what_says_not_how_a_board_is_reached(text):
    with pytest.raises(UserError) as caught:
        reach_of(text)
    assert repr(text) in caught.value.found


def test_a_profile_is_drafted_into_a_new_file_alone(launch, tmp_path):
    board, reach, path = ask(launch), reach_of("pi@board"), tmp_path / "My Board.yaml"
    assert file_for(str(path), reach) == path
    made = draft(board, reach, path)
    assert made == load_profile(str(path))
    assert (made.name, made.reach) == ("my-board", reach)
    assert re.search(r"\d{4}-\d\d-\d\d", made.cpu.source)
    assert file_for(str(path), reach) is None  # it is this board's
    with pytest.raises(UserError, match="not overwritten"):
        file_for(str(path), reach_of("pi@other"))
    with pytest.raises(UserError, match="cannot be written"):
        draft(board, reach, path)


@pytest.mark.parametrize("name", ["my-board", "", "x/", "a\x01.yaml", "n" * 300 + ".yaml"])
def test_names_that_no_profile_is_drafted_into(name):
    with pytest.raises(UserError):
        file_for(name, reach_of("board"))


def test_a_board_that_does_not_tell_its_processor_gets_no_profile(launch, tmp_path):
    board = replace(ask(launch), files={})
    with pytest.raises(UserError, match="no profile can be drafted"):
        draft(board, reach_of("board"), tmp_path / "x.yaml")
    assert not list(tmp_path.glob("*.yaml"))
