"""`devices check` of a profile that names several devices: all of them, and the exit code of the worst."""

import io

import pytest
from paretune.backends.boards.conditions import Finding
from paretune.backends.boards.fitness import Fitness
from paretune.backends.runner.launch import SshLaunch
from paretune.backends.runner.trouble import Trouble, UnreachableError
from paretune.profiles.errors import StageError
from paretune.reports.terminal import fitness
from rich.console import Console

PROFILE = """\
name: board
title: A board
cpu:
  {model: core, architecture: aarch64, cores: 4, threads: 4, instruction_sets: [neon], source: test,
   memory_bytes: {value: 4 GB, source: test}}
devices: [pi-1, pi-2]
reach: {kind: ssh}
"""


def away(device):
    raise UnreachableError(SshLaunch(host=device), Trouble.SILENT, found="Connection refused", remedy="look")


def lost(device):
    raise StageError("work", "the line was cut", outside=True)


def fit(device):
    return Fitness(device=device, findings=())


def unfit(device):
    return Fitness(
        device=device, findings=(Finding(name="governor", value="powersave", ok=False, why="it varies"),)
    )


@pytest.fixture
def checked(tmp_path, monkeypatch):
    path = tmp_path / "board.yaml"
    path.write_text(PROFILE)

    def run(**devices):
        of = {name.replace("_", "-"): answer for name, answer in devices.items()}
        monkeypatch.setattr(fitness, "check", lambda profile, name, tell, device: of[device](device))
        found, code = fitness.checked(str(path))
        console = Console(file=io.StringIO(), width=120)
        console.print(found)
        return console.file.getvalue(), code

    return run


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ((fit, fit), 0, ("pi-1", "FIT: pi-1 can", "pi-2", "FIT: pi-2 can")),
        ((fit, unfit), 2, ("FIT: pi-1 can", "it varies", "NOT FIT: pi-2")),
        ((away, unfit), 1, ("pi-1 cannot be reached", "Connection refused", "NOT FIT: pi-2")),
        ((fit, lost), 1, ("FIT: pi-1 can", "pi-2 went away while it was checked", "the line was cut")),
    ],
)
def test_all_are_told_and_the_worst_counts(checked, answers, code, said):
    text, ended = checked(pi_1=answers[0], pi_2=answers[1])
    assert ended == code
    places = [text.index(part) for part in said]
    assert places == sorted(places)


def test_where_none_is_reached_that_is_the_error(checked):
    with pytest.raises(UnreachableError, match="pi-1"):
        checked(pi_1=away, pi_2=away)
