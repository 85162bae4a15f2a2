"""Which Python of an environment is taken, and why another is refused."""

import subprocess
import sys

import pytest
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.errors import UserError
from paretune.search.recheck.interpreter import interpreter


def refused(named):
    with pytest.raises(UserError) as error:
        interpreter(str(named))
    return error.value


def program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_an_environment_is_known_by_its_folder_and_needs_numpy(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    error = refused(tmp_path / "env")
    assert "numpy" in error.found
    assert error.remedy == f"{tmp_path}/env/bin/python -m pip install numpy"


def test_this_environment_is_none_to_compare_with():
    assert sys.prefix in refused(sys.executable).found


def test_what_is_no_python_is_refused_with_what_it_said(tmp_path):
    assert refused(tmp_path / "nowhere").found == "nothing there"
    assert refused(tmp_path).found == "a folder without bin/python"
    assert refused(program(tmp_path / "talks", "echo no such option >&2; exit 3")).found == "no such option"
    assert refused(program(tmp_path / "mute", "exit 3")).found == "exit status 3"
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").symlink_to(tmp_path / "gone")
    assert "which is gone" in refused(tmp_path / "env").found


def test_a_python_that_is_too_old_is_refused(tmp_path):
    told = """echo 'paretune-environment {"version": [3, 8, 10], "prefix": "/", "numpy": "1.24.4"}'"""
    assert refused(program(tmp_path / "old", told)).found == "Python 3.8.10"


def test_another_interpreter_gets_our_package_and_nothing_that_is_installed_here(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    launch = LocalLaunch(python="/env/bin/python", path=("/study",))
    command = launch.command([])
    assert command[0] == "/env/bin/python"
    assert command[3].endswith('["/study"]]')
    assert "PYTHONPATH" not in launch.environment()
    assert LocalLaunch().environment()["PYTHONPATH"] == "/elsewhere"
