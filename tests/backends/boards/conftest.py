"""A board without sshd: a program that takes ssh's arguments and runs the command in a home of its own."""

import stat
import sys

import pytest
from paretune.backends.runner.launch import SshLaunch


class _Quiet:
    """Steps that nobody sees. `at` is called with the number of each, and may raise."""

    def __init__(self, at=lambda number: None):
        self.at, self.seen, self.said = at, 0, []

    def stage(self, text):
        self.said.append(text)
        self._next()

    def note(self, text):
        self.said.append(text)
        self._next()

    def detail(self, text):
        self._next()

    def _next(self):
        self.seen += 1
        self.at(self.seen)


@pytest.fixture
def quiet():
    """Makes steps that nobody sees."""
    return _Quiet


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def login(tmp_path, home):
    program = tmp_path / "ssh"
    program.write_text(
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\n"
        f"cd '{home}' && printf 'Welcome, operator' && exec sh -c \"$1\"\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.fixture
def launch(login):
    return SshLaunch(host="board", python=sys.executable, workdir="w", ssh=str(login))
