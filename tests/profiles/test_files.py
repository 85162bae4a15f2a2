"""Files and folders made aside: whole or not there, and nothing stays of a maker that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paretune.profiles.files import folder_aside, write_whole

MAKER = """
import sys
from pathlib import Path
from paretune.profiles.files import folder_aside, whole_file
place = Path(sys.argv[1])
with folder_aside(place, "bundle") as folder, whole_file(place / "report.md") as file:
    (folder / "part").write_text("half")
    file.write(b"half")
    print("making", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def maker(tmp_path):
    """Another process in the middle of making both."""
    command = [sys.executable, "-c", MAKER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "making\n"
        yield process
        process.kill()


def make_both(place: Path) -> None:
    write_whole(place / "report.md", "whole")
    with folder_aside(place, "bundle") as folder:
        folder.replace(place / "bundle")


def test_what_a_killed_maker_left_goes_with_the_next_one(tmp_path, maker):
    os.kill(maker.pid, signal.SIGKILL)
    maker.wait()
    assert len(list(tmp_path.iterdir())) == 2
    make_both(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "report.md"]


def test_what_another_process_is_making_stays_and_so_do_strangers(tmp_path, maker):
    (tmp_path / ".report.md.swp").write_text("an editor's")
    (tmp_path / ".report.md.aaaaaaaa").symlink_to(tmp_path / ".report.md.swp")
    make_both(tmp_path)
    maker.communicate("")
    assert maker.returncode == 0
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"bundle", "report.md", ".report.md.swp", ".report.md.aaaaaaaa"}
    assert (tmp_path / "report.md").read_text() == "half", "the last one to end stands"
