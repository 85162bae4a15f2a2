"""Tests ask for the toy backend, which nobody else here should meet, and fuzzing has two lengths."""

import atexit
import os
import shutil
import signal
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, settings

os.environ["PARETUNE_TOY"] = "1"
pytest_plugins = ["board.plugin"]  # boards behind a real sshd
# Tests that run side by side share this machine, and must not wait for each other.
os.environ["PARETUNE_LEASE_DIR"] = tempfile.mkdtemp(prefix="paretune-test-lease-")
atexit.register(shutil.rmtree, os.environ["PARETUNE_LEASE_DIR"], ignore_errors=True)
# A shell's `&` and nohup let what they start ignore these, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; more threads than cores only wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# `pytest tests/fuzz --timeout=0 --hypothesis-profile=long` tries 10,000 inputs of each kind.
settings.register_profile("ci", max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("long", settings.get_profile("ci"), max_examples=10_000)
settings.load_profile("ci")


# What pytest makes of the tests' own modules takes half of the time in which they are collected: it is kept
# for the next run also where Python is told to keep nothing, but only until the tests begin.
_KEEPS_NOTHING, sys.dont_write_bytecode = sys.dont_write_bytecode, False


def pytest_collection_finish():
    sys.dont_write_bytecode = _KEEPS_NOTHING


def pytest_collection_modifyitems(items):
    """The longest files first, so that two workers end together."""
    items.sort(key=lambda item: "study" not in item.path.parts)


@pytest.fixture(autouse=True, scope="session")
def this_process_stays():
    """Tests call the command line in this process, which a thread that another test left must not end."""
    from paretune.reports.terminal import commands

    commands.leave = lambda status: None
