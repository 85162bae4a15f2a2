"""Code of others neither ends this process nor keeps it from ending."""

import os
import subprocess
import sys

import pytest
from paretune.profiles.guard.user_code import UserCodeError, call, user_code

ENDS = """
import os, sys, threading, time
from paretune.profiles.guard.process_end import leave
from paretune.profiles.guard.user_code import call
{deed}
sys.stdout.write("said")
try:
    raise SystemExit(7)
except SystemExit as end:
    leave(end.code)
    raise
"""


def test_an_exit_within_the_guard_is_an_error_and_real_afterwards():
    real = os._exit
    with pytest.raises(UserCodeError, match=r"SystemExit: os\._exit\(0\)"), user_code("outer"):
        call("inner", lambda: os._exit(0))
    assert os._exit is real


@pytest.mark.parametrize(
    "deed",
    [
        "call('theirs', lambda: threading.Thread(target=time.sleep, args=(600,)).start())",
        "call('theirs', lambda: os.fork() or os._exit(3))",
        "call('theirs', lambda: threading.Thread(target=time.sleep, args=(0.1,)).start())",
    ],
)
def test_a_process_ends_with_its_own_status(deed):
    ended = subprocess.run(
        [sys.executable, "-c", ENDS.format(deed=deed)], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (7, "said")


WATCHED = """
import os, threading
from paretune.profiles.guard.user_code import call
def work():
    threading.Timer(0.1, os._exit, (3,)).start()  # a thread without a line of this file
    threading.Event().wait()
call("theirs", work)
"""


def test_a_thread_that_is_not_theirs_may_end_the_process():
    """As Dask's does where a worker's parent is gone."""
    assert subprocess.run([sys.executable, "-c", WATCHED], timeout=60, check=False).returncode == 3
