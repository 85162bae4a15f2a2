"""What a device has shown is remembered, and nothing that stands in its file breaks anything."""

import json
import os

import pytest
from paretune.profiles.devices import shown
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.schema import SshReach
from paretune.profiles.devices.shown import (
    COMPILE,
    LATEST,
    MOST_WORKLOADS,
    START,
    Shown,
    device_identity,
    remember,
    shown_by,
)


@pytest.fixture
def board(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    reach = SshReach(host="board")
    return load_profile("raspberry-pi-5").model_copy(update={"reach": reach})


def test_what_was_seen_comes_back_by_workload(board, tmp_path):
    remember(board, {START: [5.0, 7.0, 6.0]})
    remember(board, {COMPILE: [1.0]}, "digits")
    remember(board, {COMPILE: [3.0]}, "digits")
    found = shown_by(board)
    assert found.typical(START) == 6.0
    assert found.times(COMPILE, "digits") == (1.0, 3.0)
    assert found.typical(COMPILE, "other") is None
    assert [path.name for path in (tmp_path / "paretune").iterdir()] == [
        f"device-{device_identity(board)}.json"
    ]


def test_two_devices_do_not_share_what_they_showed(board):
    other = board.model_copy(update={"reach": SshReach(host="another")})
    remember(board, {START: [5.0]})
    assert shown_by(other) == Shown()


def test_the_file_does_not_grow(board):
    for number in range(MOST_WORKLOADS + 5):
        remember(board, {COMPILE: [1.0] * 3 * LATEST}, f"workload {number}")
    remember(board, {START: [1.0]})
    found = shown_by(board).seconds
    assert len(found) == MOST_WORKLOADS + 1
    assert f"workload {MOST_WORKLOADS + 4}" in found
    assert "workload 0" not in found
    assert all(len(times) <= LATEST for of in found.values() for times in of.values())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "null",
        '{"version": 2, "seconds": {"": {"start": [1.0]}}}',
        '{"version": 1, "seconds": 7}',
        '{"version": 1, "seconds": {"": {"start": "fast"}}}',
        '{"version": 1, "seconds": {"": {"start": [null, true, "1", [], -1, 0, 1e300, NaN, Infinity]}}}',
        '{"version": 1, "seconds": {"": {"start": [' + "1" * 5000 + "]}}}",
        "[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_a_damaged_or_foreign_file_is_as_none_and_is_written_anew(board, tmp_path, content):
    remember(board, {START: [5.0]})
    path = next((tmp_path / "paretune").iterdir())
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert shown_by(board).times(START) == ()
    remember(board, {START: [2.0]})
    assert shown_by(board).times(START) == (2.0,)
    json.loads(path.read_text())


@pytest.mark.parametrize("place", ["folder", "pipe", "read-only"])
def test_where_it_cannot_be_kept_it_is_done_without(board, tmp_path, place):
    remember(board, {START: [5.0]})
    path = next((tmp_path / "paretune").iterdir())
    path.unlink()
    if place == "folder":
        path.mkdir()
    elif place == "pipe":
        os.mkfifo(path)
    else:
        path.parent.rmdir()
        path.parent.write_text("a file in the folder's place")
    assert shown_by(board) == Shown()
    remember(board, {START: [5.0]})


def test_without_a_home_nothing_is_kept(board, monkeypatch):
    monkeypatch.setattr(shown, "cache_folder", lambda: None)
    remember(board, {START: [5.0]})
    assert shown_by(board) == Shown()
