"""The runner behind a program that takes ssh's arguments: files are sent, the login shell may talk."""

import os
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch, SshLaunch, launch_for
from paretune.profiles.devices.schema import LocalReach, NoReach, SshReach
from paretune.profiles.errors import InternalError, StageError, UserError
from paretune.profiles.precision import Precision

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
    assert "`host`" in caught.value.remedy


def test_a_device_without_paretune_is_named(login, tmp_path):
    launch = SshLaunch(host="board", python="no-such-python", ssh=str(login))
    with pytest.raises(UserError, match="cannot be reached") as caught:
        RunnerClient(launch).hello()
    assert "no-such-python" in caught.value.found


def test_a_machine_without_ssh_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be reached"):
        RunnerClient(SshLaunch(host="board", ssh=str(tmp_path / "nothing"))).hello()


NONSENSE = """#!{python} -IS
import json, os, struct, sys, time
PREAMBLE, RIGHT = b"paretune-runner-frames-2\\n", {{"pid": 1, "modules": [], "environment": {{}}}}
TENSOR = {{"name": "x", "dtype": "float32", "shape": [1, 3]}}
HUGE = [{{"name": "x", "dtype": "|u1", "shape": [2**31], "bytes": 2**31}}]
OPENED = {{"inputs": [TENSOR], "outputs": [TENSOR], "load_ms": 1}}

def frame(body, arrays=(), raw=b""):
    header = json.dumps({{"body": body, "arrays": list(arrays)}}).encode()
    os.write(1, struct.pack(">I", len(header)) + header + raw)

def asked():
    wanted = struct.unpack(">I", sys.stdin.buffer.read(4))[0]
    request = json.loads(sys.stdin.buffer.read(wanted))
    sys.stdin.buffer.read(sum(array["bytes"] for array in request["arrays"]))
    return request["body"]["do"]

{deed}
"""
FIRST = "frame({{'first_inference_ms': {}}})"
STARTED = "os.write(1, b'Last login\\n' + PREAMBLE); asked(); "


def nonsense(folder, deed, **limits):
    """A runner behind a program that takes ssh's arguments and says what the deed makes it say."""
    program = folder / "nonsense"
    program.write_text(NONSENSE.format(python=sys.executable, deed=deed))
    program.chmod(0o755)
    return RunnerClient(SshLaunch(host="board", ssh=str(program)), guard=Guard(**limits))


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        (STARTED + "frame({})", "pid is missing"),
        (STARTED + "frame({**RIGHT, 'pid': 'x'})", "pid is 'x'"),
        (STARTED + "frame({**RIGHT, 'environment': {'packages': [1]}})", "packages of environment"),
        (STARTED + "frame({'error': 'user'})", "problem is missing"),
        (STARTED + "os.write(1, b'\\xff' * 100)", "this is no frame"),
        (STARTED + "os.write(1, struct.pack('>I', 9**5) + b'[' * 9**5)", "not one of ours"),
        (STARTED + "frame(RIGHT, HUGE)", "over the limit of 0 bytes"),
        (STARTED + "os.write(1, b'\\0\\0\\1\\0{'); time.sleep(9)", "no answer to hello within"),
        ("os.write(1, b'paretune-runner-frames-9\\n'); time.sleep(9)", "version 9"),
        ("[os.write(1, b'y' * 60_000) for _ in range(10**6)]", "'yyyy"),
        ("os.write(1, b'Welcome'); time.sleep(9)", "no runner answers within"),
        ("os.write(2, b'** WARNING: quantum\\nPermission denied.\\n'); sys.exit(255)", "Permission denied."),
        ("sys.exit(0)", "ended with exit status 0"),
    ],
)  # fmt: skip
def test_a_device_that_answers_nonsense_is_one_error_of_the_users(tmp_path, deed, found):
    short = {"no runner answers within": 0.5, "no answer to hello within": 3.0}
    started, patience = time.monotonic(), short.get(found, 100.0)
    with pytest.raises(UserError) as caught:
        nonsense(tmp_path, deed, open_s=patience).hello()
    assert "board" in caught.value.problem
    assert found in f"{caught.value.problem} {caught.value.found}"
    assert time.monotonic() - started < 50


@pytest.mark.parametrize(
    ("answers", "stage", "cause"),
    [
        ("frame({**OPENED, 'outputs': []})", "measure", "outputs has to name"),
        (f"frame(OPENED); asked(); {FIRST.format('None')}", "measure", "first_inference_ms is None"),
        (f"frame(OPENED); asked(); {FIRST.format(1)}; asked(); frame({{}})", "score", "no output"),
        ("frame(OPENED); os.write(1, b'garbage' * 99); asked()", "measure", "no frame"),
        ("frame(OPENED); asked(); sys.exit(255)", "measure", "lost"),
    ],
)  # fmt: skip
def test_nonsense_later_is_a_failed_stage(tmp_path, answers, stage, cause):
    source = tmp_path / "model.txt"
    source.write_text("a=1")
    feed = {"x": np.ones((1, 3), np.float32)}
    with nonsense(
        tmp_path, STARTED + f"frame({{'path': '/there'}}); asked(); {answers}", open_s=60.0
    ) as runner:
        runner.put(source)

        def go_on():
            runner.open(BACKEND, source, 1, 1)
            runner.prepare(feed)
            runner.infer(feed)

        with pytest.raises(StageError, match=cause) as caught:
            go_on()
    assert caught.value.stage == stage


def test_a_compiled_file_of_a_device_stays_where_it_was_asked_for(tmp_path):
    source, into = tmp_path / "model.txt", tmp_path / "into"
    source.write_text("a=1")
    into.mkdir()
    made = "{'path': '../../work.py', 'size_bytes': 3}"
    sent = "frame({}, [{'name': 'bytes', 'dtype': '|u1', 'shape': [9], 'bytes': 9}], b'123456789')"
    deed = STARTED + f"frame({{'path': '/there'}}); asked(); frame({made}); asked(); {sent}"
    settings = CompileSettings(precision=Precision.FP32)
    with nonsense(tmp_path, deed) as runner, pytest.raises(StageError, match="over the limit of 3 bytes"):
        runner.compile(BACKEND, SourceModel(path=source, format="scripted"), settings, None, into)
    assert not list(into.iterdir())
    assert not (tmp_path / "work.py").exists()


def test_what_is_printed_without_end_does_not_fill_the_disk(tmp_path):
    deed = "[os.write(2, b'W' * 2**20) for _ in range(40)]; os.write(2, b'\\nthe reason\\n'); sys.exit(1)"
    with pytest.raises(UserError) as caught:
        nonsense(tmp_path, deed).hello()
    assert caught.value.found.startswith("the reason")


def test_ssh_is_given_no_option_by_a_host():
    command = SshLaunch(host="::1", user="pi", port=2222, workdir="~/work").command(["--pinned"])
    assert command[command.index("--") + 1] == "pi@::1"
    assert command[-1].startswith("exec env ")
    assert '"workdir": "work"' in command[-1]
    assert SshLaunch(host="::1", port=2222).by_hand == "ssh -p 2222 ::1"


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
