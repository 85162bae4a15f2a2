"""`paretune backends`: runtimes of ours and of others, of which some are missing, broken, crash or hang."""

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from paretune.backends.registry import get_backend
from paretune.backends.runner.available import find_runtimes
from paretune.profiles.packages import one_command

_BACKEND = """
import os, signal, time
from paretune.backends import contract
from paretune.profiles.precision import Precision

class Mine(contract.Backend):
    name, title, packages, install = "mine", "My runtime", ("none-such",), "pip install 'paretune[mine]'"
    compile = open = None

    def availability(self):
        {answer}

    def precisions(self, profile):
        return (Precision.FP32, Precision.INT8)
"""
_MISSING = "return contract.Availability(installed=False, reason='no module', install=self.install)"
_MAIN = "from paretune.cli import main; import sys; sys.argv[0] = 'paretune'; main()"


def bring(folder, name, source):
    """A package that names a backend, as an installer would leave it on the search path."""
    (folder / f"brings_{name}.py").write_text(source)
    metadata = folder / f"brings_{name}-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: brings-{name}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[paretune.backends]\n{name} = brings_{name}:Mine\n")


def shown(*arguments, path):
    variables = {**os.environ, "PYTHONPATH": str(path), "COLUMNS": "300"}
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, "backends", *arguments],
        env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_each_runtime_has_its_state_and_what_crashes_stops_no_other(tmp_path):
    bring(tmp_path, "absent", _BACKEND.format(answer=_MISSING))
    bring(tmp_path, "gone", _BACKEND.format(answer=_MISSING.replace("self.install", '"pip install gone"')))
    bring(tmp_path, "crashes", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    bring(tmp_path, "leaves", "import os\nos._exit(3)\n")
    bring(tmp_path, "raises", "raise OSError('libmine.so: cannot open shared object file')\n")
    bring(tmp_path, "odd", _BACKEND.format(answer="return 7"))
    code, out, error = shown(path=tmp_path)
    assert (code, error) == (0, "")
    ours = get_backend("ort")
    assert f"ort: {ours.title}" in out
    assert ours.availability().version in out
    absent = next(line for line in out.splitlines() if line.startswith("absent"))
    assert re.split(r"\s*│\s*", absent)[:2] == ["absent: My runtime", "fp32, int8"]
    for name, why in (
        ("crashes", "signal"),
        ("leaves", "3"),
        ("raises", "libmine.so"),
        ("odd", "Availability"),
    ):
        start = next(i for i, line in enumerate(out.splitlines()) if line.startswith(name))
        row = " ".join(out.splitlines()[start : start + 4])
        assert "cannot be used" in row
        assert why in row
    (command,) = (line for line in out.splitlines() if "pip install" in line and "absent" not in line)
    assert command.endswith("pip install 'paretune[mine]' gone")


@pytest.mark.slow
def test_a_device_of_another_kind(tmp_path):
    code, out, _ = shown("--profile", "nvidia-t4", path=tmp_path)
    assert code == 0
    assert "int4-weight: needs NVIDIA sm_80 or later" in out
    code, _, error = shown("--profile", "nonsense", path=tmp_path)
    assert code == 1
    assert "jetson-orin-nano" in error


@pytest.mark.alone
def test_one_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hangs_forever.py").write_text("import time\ntime.sleep(600)\n")
    (found,) = find_runtimes(["hangs_forever:Mine"], 4.0).values()
    assert not found.loads
    assert not found.installed
    assert "4 s" in found.reason


@pytest.mark.parametrize(
    ("commands", "wanted"),
    [
        (["pip install 'paretune[a]'", "pip install paretune[b,a]"], ["pip install 'paretune[a,b]'"]),
        (["pip install x", "pip install 'y>=2' x"], ["pip install x 'y>=2'"]),
        (["pip install x", "pip install 'x[a]'"], ["pip install 'x[a]'"]),
        (
            ["apt install x", "pip install y", "pip install --pre z", "pip install 'y"],
            ["pip install y", "apt install x", "pip install --pre z", "pip install 'y"],
        ),
        ([], []),
    ],
)
def test_commands_that_install_are_made_one(commands, wanted):
    assert one_command(commands) == wanted


@pytest.mark.alone
def test_an_interrupt_waits_for_no_runtime_that_hangs_and_leaves_none_behind(tmp_path):
    told = tmp_path / "told"
    hangs = f"import os, time\nopen({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    bring(tmp_path, "hangs", hangs)
    command = [sys.executable, "-c", _MAIN, "backends"]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asked:
        wait_until(lambda: told.is_file() and told.read_text())
        asked.send_signal(signal.SIGINT)
        assert asked.wait(10) == 130
    wait_until(lambda: not psutil.pid_exists(int(told.read_text())))


def wait_until(true):
    ends = time.monotonic() + 100
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)
