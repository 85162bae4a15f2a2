"""The runner behind a program that takes ssh's arguments: files are sent, the login shell may talk."""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch, SshLaunch, launch_for
from paretune.profiles.errors import InternalError, StageError, UserError
from paretune.profiles.precision import Precision
from paretune.profiles.schema import LocalReach, NoReach, SshReach

pytestmark = pytest.mark.alone

HERE = Path(__file__).resolve().parent
BACKEND = "scripted_backend:ScriptedBackend"


@dataclass
class Device:
    reach: object
    name: str = "some-board"


@pytest.fixture
def login(tmp_path):
    """A program with ssh's command line that runs the remote command in a shell in another directory."""
    home = tmp_path / "home"
    home.mkdir()
    program = tmp_path / "ssh"
    program.write_text(
        "#!/bin/sh\n"
        f"echo \"$@\" > '{tmp_path}/asked'\n"
        'while [ $# -gt 1 ]; do shift; done\necho "Welcome, operator"\n'
        f"cd '{home}' && PYTHONPATH='{HERE}' exec sh -c \"$1\"\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_a_candidate_is_compiled_and_run_on_the_device(tmp_path, login):
    source = tmp_path / "model.txt"
    source.write_text("a=1")
    into = tmp_path / "into"
    into.mkdir()
    launch = SshLaunch(host="board", user="pi", port=2222, python=sys.executable, ssh=str(login))
    with RunnerClient(launch) as runner:
        artifact = runner.compile(
            BACKEND,
            SourceModel(path=source, format="scripted"),
            CompileSettings(precision=Precision.FP32),
            {"x": np.ones((1, 2), np.float32)},
            into,
        )
        assert artifact.path == into / "scripted.bin"
        assert artifact.path.read_text() == "a=1 total=2"
        sent = Path(runner.put(artifact.path))
        assert sent != artifact.path
        assert sent.read_text() == "a=1 total=2"
        runner.open(BACKEND, artifact.path, 2, 1)
        feed = {"x": np.ones((2, 3), np.float32)}
        assert runner.prepare(feed) > 0
        np.testing.assert_array_equal(runner.infer(feed)["y"], feed["x"] * 2)
    assert not sent.parent.exists()  # the runner clears up behind itself
    asked = (tmp_path / "asked").read_text()
    assert "-p 2222 -- pi@board exec env" in asked
    assert "BatchMode=yes" in asked


def test_all_subjects_on_a_device_share_one_core(tmp_path, login):
    source = tmp_path / "model.txt"
    source.write_text("a=1")
    launch = SshLaunch(host="board", python=sys.executable, ssh=str(login))
    held = []
    for _ in range(2):
        with RunnerClient(launch, pinned=True) as runner:
            opened = runner.open(BACKEND, source, 1, 1)
            assert os.sched_getaffinity(runner.hello().pid) == set(opened.cores)
            held.append(opened.cores)
    assert held[0] == held[1]
    assert len(held[0]) == 1


def test_a_crash_on_the_device_keeps_its_last_words(tmp_path, login):
    source = tmp_path / "model.txt"
    source.write_text("open=segfault")
    launch = SshLaunch(host="board", python=sys.executable, ssh=str(login))
    with RunnerClient(launch) as runner, pytest.raises(StageError, match="egmentation fault"):
        runner.open(BACKEND, source, 1, 1)


def test_a_work_directory_with_a_space(tmp_path, login):
    folder = tmp_path / "the board's" / "files"  # made where it is missing
    launch = SshLaunch(host="board", python=sys.executable, workdir=str(folder), ssh=str(login))
    with RunnerClient(launch) as runner:
        file = tmp_path / "file"
        file.write_bytes(b"content")
        runner.put(file)
        assert list(folder.iterdir())
    assert not list(folder.iterdir())


def test_a_device_that_does_not_answer_is_named():
    launch = SshLaunch(host="no-such-board.invalid", user="pi")
    with pytest.raises(UserError, match=r"device pi@no-such-board.invalid cannot be reached") as caught:
        RunnerClient(launch).hello()
    assert "no-such-board.invalid" in caught.value.found  # what ssh itself said
    assert "without a password" in caught.value.remedy


def test_a_device_without_paretune_is_named(login, tmp_path):
    launch = SshLaunch(host="board", python="no-such-python", ssh=str(login))
    with pytest.raises(UserError, match="cannot be reached") as caught:
        RunnerClient(launch).hello()
    assert "no-such-python" in caught.value.found


def test_a_machine_without_ssh_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be reached"):
        RunnerClient(SshLaunch(host="board", ssh=str(tmp_path / "nothing"))).hello()


def test_profiles_say_how_they_are_reached():
    assert launch_for(Device(LocalReach())) == LocalLaunch()
    assert launch_for(Device(SshReach(host="board"))) == SshLaunch(
        host="board", workdir=".cache/paretune/device"
    )
    reach = SshReach(host="board", user="pi", port=22, python="python3.11", workdir="w")
    wanted = SshLaunch(host="board", user="pi", port=22, python="python3.11", workdir="w")
    assert launch_for(Device(reach)) == wanted
    with pytest.raises(UserError, match="nothing can be measured on some-board"):
        launch_for(Device(NoReach()))
    with pytest.raises(InternalError, match="'adb'"):
        launch_for(Device(SshReach.model_construct(kind="adb")))
