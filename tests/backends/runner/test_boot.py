"""The first lines of Python on a device: what they tell as facts, and who sees to the runner's end."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paretune.backends.runner import boot
from paretune.backends.runner.launch import SshLaunch

PACKAGE = Path(boot.__file__).resolve().parents[3]


def told(command, **variables):
    """What a shell that runs the command prints of the mark, as JSON."""
    env = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(command, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    lines = [line for line in done.stdout.splitlines() if line.startswith(boot.TROUBLE)]
    assert lines, done
    return json.loads(lines[0][len(boot.TROUBLE) :])


def there(workdir="", python=sys.executable):
    return SshLaunch(host="board", workdir=workdir, python=python).command([])[-1]


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_any_shell_carries_them_and_a_missing_package_is_named(shell):
    bare = shlex.split(there())
    bare[bare.index("-c") : bare.index("-c")] = ["-I", "-S"]
    found = told([shell, "-c", shlex.join(bare)])
    assert (found["what"], found["missing"].partition(".")[0]) == ("import", "paretune")
    assert found["python"].startswith("3.")


def test_a_working_directory_that_cannot_be_is_a_number_of_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    found = told(["sh", "-c", there(workdir=f"{tmp_path}/file/below")])
    assert (found["what"], found["number"], found["folder"]) == ("workdir", 20, f"{tmp_path}/file/below")


def test_an_old_python_is_told(monkeypatch):
    monkeypatch.setattr(boot, "LEAST_PYTHON", (9, 0))
    assert told(["sh", "-c", there()])["what"] == "python"


SUPERVISED = """
import os, signal, sys, time
sys.path.insert(0, {package!r})
from paretune.backends.runner import supervise
supervise.GRACE_S = 0.2
supervise.supervised()
print(os.getpid(), flush=True)
{deed}
"""


def supervised(deed):
    program = SUPERVISED.format(package=str(PACKAGE), deed=deed)
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("deed", "status"),
    [("os.kill(os.getpid(), 11)", 139), ("os.kill(os.getpid(), 9)", 137), ("sys.exit(3)", 3), ("", 0)],
)
def test_how_a_runner_ends_is_an_exit_status(deed, status):
    with supervised(deed) as process:
        assert process.wait(100) == status
        assert process.stdout.read().split()  # and its output ends with it


@pytest.mark.parametrize("deed", ["time.sleep(60)", "os.kill(os.getpid(), signal.SIGSTOP)"])
def test_a_runner_that_does_not_see_that_its_line_is_gone_is_ended(deed):
    with supervised(deed) as process:
        runner = int(process.stdout.readline())
        time.sleep(0.1)
        process.stdin.close()
        assert process.wait(100) == 128 + signal.SIGKILL
        with pytest.raises(ProcessLookupError):
            os.kill(runner, 0)
