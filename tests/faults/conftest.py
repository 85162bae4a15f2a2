"""Faults, of which `benchmarks/faults` has many: a process that has loaded the command forks for each."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.faults.full_disk import made
from benchmarks.faults.shim import built
from benchmarks.faults.toy import ENVIRONMENT
from benchmarks.faults.warm import Warm


@pytest.fixture(scope="session")
def warm():
    """The command, loaded once behind the shim (`shim.c`), which does nothing until a test says what."""
    server = Warm({**ENVIRONMENT, "LD_PRELOAD": str(built())})
    yield server
    server.close()


@pytest.fixture(scope="session")
def made_store(warm, tmp_path_factory):
    """A store in which a study of two trials has made all, for those that look at something else."""
    return made(tmp_path_factory.mktemp("made"), warm)
