"""A tuning in a runner: its files, its limits, and that nothing of it is left behind, however it ends."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.contract.tuning import Tuning
from paretune.backends.runner import client as clients
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.alone

HERE = Path(__file__).resolve().parent
BACKEND = "scripted_backend:ScriptedBackend"
FP32 = CompileSettings(precision=Precision.FP32)


class Afar(LocalLaunch):
    """A runner that sees none of our files, as one on a device."""

    shares_files = False


@pytest.fixture
def here(tmp_path):
    (tmp_path / "found").mkdir()
    return tmp_path


def source(folder, **script):
    path = folder / "model.txt"
    path.write_text(" ".join(f"{key}={value}" for key, value in script.items()))
    return SourceModel(path=path, format="scripted")


def tune(runner, folder, known=(), seconds=5.0, meanwhile=lambda: None, **script):
    tuning = Tuning(trials=7, seconds=seconds, threads=3)
    found = folder / "found"
    return runner.tune(BACKEND, source(folder, **script), FP32, tuning, known, found, meanwhile)


def helper_of(error):
    return int(re.search(r"helper (\d+)", error.log)[1])


def gone(pid):
    for _ in range(1200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("launch", [LocalLaunch, Afar])
def test_what_it_finds_lies_in_the_folder_and_compiling_gets_it(here, launch):
    known, made = here / "known", here / "made"
    known.mkdir(), made.mkdir()
    for name in "ab":
        (known / name).write_text("earlier")
    with RunnerClient(launch(path=(str(HERE),))) as runner:
        assert tune(runner, here, [known], rounds=2) == {"trials": 7, "known": 2}
        files = {path.name: path.read_text() for path in (here / "found").iterdir()}
        assert files == {"round0.txt": "threads=3", "round1.txt": "threads=3"}
        tuned = SourceModel(path=here / "model.txt", format="scripted", tuned=here / "found")
        artifact = runner.compile(BACKEND, tuned, FP32, None, made)
        assert "tuned=2" in artifact.path.read_text()


@pytest.mark.parametrize("deed", ["child", "segfault", "hog"])
def test_what_was_found_before_an_end_from_outside_stays(here, monkeypatch, deed):
    monkeypatch.setattr(clients, "TUNE_MARGIN_S", 3.0 if deed == "child" else 200.0)  # one does not end
    guard = Guard(memory_bytes=400_000_000)
    with (
        RunnerClient(LocalLaunch(path=(str(HERE),)), guard=guard) as runner,
        pytest.raises(StageError) as ended,
    ):
        tune(runner, here, rounds=3, seconds=0.5, tune=deed)
    assert ended.value.stage == "tune"
    assert len(list((here / "found").iterdir())) == 3
    if deed == "child":
        assert gone(helper_of(ended.value))


class StopError(Exception):
    """Asked for from outside."""


def test_it_can_be_stopped_while_it_is_waited_for(here):
    def stop():
        raise StopError

    started = time.monotonic()
    with RunnerClient(LocalLaunch(path=(str(HERE),))) as runner:
        with pytest.raises(StopError):
            tune(runner, here, seconds=300.0, tune="child", meanwhile=stop)
        helper = helper_of(runner.ended)
    assert time.monotonic() - started < 200
    assert gone(helper)
    assert len(list((here / "found").iterdir())) == 1


def test_its_helpers_end_with_a_runner_that_is_killed(here):
    with RunnerClient(LocalLaunch(path=(str(HERE),))) as runner:
        pid, child = runner.hello().pid, runner._child
        kill, child.kill = child.kill, lambda: None  # as if the study's process were gone, too
        with pytest.raises(StageError) as ended:
            tune(runner, here, seconds=300.0, tune="child", meanwhile=lambda: os.kill(pid, signal.SIGKILL))
        assert ended.value.outside
        assert gone(helper_of(ended.value))
        kill()
