"""`paretune devices setup` on a board behind a real sshd, with wheels that are made here: no network."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from board.board import free_port
from paretune.backends.boards.parts import runner_digest
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import launch_for
from paretune.profiles.devices.loader import load_profile

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture
def wheels(tmp_path):
    """numpy as it is installed here, and a runtime that brings its backend along."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    numpy = metadata.distribution("numpy")
    tag = next(line for line in numpy.read_text("WHEEL").splitlines() if line.startswith("Tag: "))[5:]
    with zipfile.ZipFile(folder / f"numpy-{numpy.version}-{tag}.whl", "w") as wheel:
        for file in numpy.files:
            kept = "tests" not in file.parts and ".." not in file.parts and "__pycache__" not in file.parts
            if kept and file.suffix != ".pyi":
                wheel.write(file.locate(), str(file))
    with zipfile.ZipFile(folder / "tiny_runtime-1.5-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_runtime.py", "VERSION = '1.5'\n")
        wheel.write(HERE / "tiny_backend.py", "tiny_backend.py")
        info = "tiny_runtime-1.5.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-runtime\nVersion: 1.5\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def paretune(folder, *arguments):
    """The command on this machine, which keeps what it sends in a cache of its own."""
    return subprocess.run(
        [sys.executable, "-m", "paretune.cli", "devices", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
        },
    )


def test_from_bare_to_a_board_that_answers(bare_board, wheels, tmp_path):
    reach = f"root@127.0.0.1:{bare_board.port}"
    asked = ["setup", "my-board.yaml", "--backend", "tiny_backend:TinyBackend", "--wheels", str(wheels)]
    done = paretune(tmp_path, *asked, "--reach", reach)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "tiny-runtime 1.5" in done.stdout
    profile = load_profile(str(tmp_path / "my-board.yaml"))
    assert profile.cpu.threads <= os.cpu_count()
    with RunnerClient(launch_for(profile)) as runner:
        hello = runner.hello()
        assert runner.available("tiny_backend:TinyBackend").version == "1.5"
    assert hello.prepared == runner_digest()
    assert "torch" not in hello.modules
    again = paretune(tmp_path, *asked, "--reach", reach)  # the file is there, for the same board
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stderr
    # Of a pool all are seen to, whatever befalls one of them.
    ports = [{"host": "127.0.0.1", "port": port} for port in (free_port(), bare_board.port)]
    bare_board.write_profile(tmp_path, name="pool", devices=ports)
    several = paretune(tmp_path, "setup", "./pool.yaml", *asked[2:])
    assert several.returncode == 1
    assert "cannot be reached" in several.stderr
    assert f"127.0.0.1:{bare_board.port} is ready" in several.stderr


def test_a_board_that_is_not_the_profiles_is_refused_before_anything_is_copied(bare_board, tmp_path):
    cpu = {**bare_board.profile()["cpu"], "architecture": "aarch64", "instruction_sets": ["neon"]}
    bare_board.write_profile(tmp_path, cpu=cpu)
    done = paretune(tmp_path, "setup", "board.yaml")
    assert done.returncode == 1
    assert "aarch64" in done.stderr
    assert not list(bare_board.home.rglob("prepared"))
