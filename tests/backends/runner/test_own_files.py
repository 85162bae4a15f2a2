"""A runner's folder on a device: gone with it, also after a kill; and what is told where the disk is full."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from paretune.backends.runner.frames import Message
from paretune.backends.runner.operations import Runner
from paretune.backends.runner.own_files import NoRoomError, OwnFiles

MAKE = """
import os, sys
from paretune.backends.runner.own_files import OwnFiles
files = OwnFiles(sys.argv[1])
print(files.folder(), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def same_temp(monkeypatch):
    monkeypatch.setenv("TMPDIR", os.environ.get("TMPDIR", "/tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_what_a_kill_left_goes_with_the_next_runner_and_a_living_one_stays(tmp_path):
    killed = subprocess.run([sys.executable, "-c", MAKE, tmp_path], stdout=subprocess.PIPE, text=True)
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    living, other = OwnFiles(str(tmp_path)), OwnFiles(str(tmp_path))
    folder = living.folder()
    assert not left.exists()
    other.folder()
    assert folder.is_dir()
    other.clear()
    living.clear()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_its_folder(tmp_path, monkeypatch):
    runner = Runner(str(tmp_path))

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "deep" / "file"))

    monkeypatch.setattr(runner, "do_open", full)
    answer = runner.answer(Message(body={"do": "open"})).body
    assert answer["error"] == "room"
    assert answer["folder"] == str(tmp_path)
    assert answer["free_bytes"] >= 0


def test_what_native_code_says_of_a_full_disk_is_seen_by_trying(tmp_path, monkeypatch):
    monkeypatch.setattr("paretune.backends.runner.own_files.takes_more", lambda folder: False)
    with pytest.raises(NoRoomError):
        OwnFiles(str(tmp_path)).check_room(RuntimeError("write failed"))
    OwnFiles(None).check_room(RuntimeError("write failed"))  # this machine's disk is its store's affair
