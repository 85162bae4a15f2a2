"""One run at a time on a study, wherever the runs are."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from optuna.trial import TrialState
from paretune.profiles.errors import UserError
from paretune.search.storage.lasting import MARK
from postgresql import PASSWORD, server
from study_on_server import CUT, evaluated, kept_at, open_study, searched, suggest, url_at

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def postgresql():
    with server() as one:
        yield one


@pytest.fixture
def url(postgresql):
    return url_at(postgresql.port)


def asked(postgresql, statement):
    """What the server answers."""
    address = {"host": "127.0.0.1", "port": postgresql.port, "dbname": "postgres"}
    with closing(psycopg2.connect(**address, user="study", password=PASSWORD)) as base:
        base.autocommit = True
        with base.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def test_a_second_run_is_refused_and_told_of_the_first(url):
    with closing(open_study(url, "one")), pytest.raises(UserError, match="run by another process") as caught:
        open_study(url, "one")
    said = str(caught.value)
    assert "paretune on" in said
    assert "from 127.0.0.1, since 20" in said
    assert "Ctrl-C" in said
    assert PASSWORD not in said
    with closing(open_study(url, "one")), closing(open_study(url, "another")):
        pass  # the first has ended, and another study is another


HEAD = """
import sys
sys.path.insert(0, sys.argv[1])
from study_on_server import *

store = open_study(url_at(int(sys.argv[2])), "killed")
searched(store, 3)
trial, candidate = store.ask(suggest)
with store.together():
    store.enqueue({"depth": 3, "width": 4})
    store.study.tell(trial, [0.5, 0.5])
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_driver_was_at_is_tried_again_by_another_and_what_it_told_stands(postgresql, url):
    command = [sys.executable, "-c", textwrap.dedent(HEAD), str(TESTS)]
    with subprocess.Popen(
        [*command, str(postgresql.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(UserError, match=f"process {process.pid}"):
            open_study(url, "killed")
        before = kept_at(url, "killed")
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        with closing(open_study(url, "killed")) as store:
            assert [t.state for t in store.study.trials][-1] is TrialState.RUNNING
            lost = store.study.trials[-1].params
            assert store.recover() == 1
            trial, candidate = store.ask(suggest)
            assert trial.params == lost
            store.tell(trial, evaluated(candidate), 0.0)
        after = kept_at(url, "killed")
    told = len(before[0]) - 1
    assert after[0][:told] == before[0][:told]
    assert after[1][:-1] == before[1]


def test_a_run_that_lost_its_lock_takes_it_again_or_stops(postgresql, url):
    with closing(open_study(url, "lost")) as store:
        searched(store, 1)
        asked(postgresql, CUT)
        searched(store, 1)
        asked(postgresql, CUT)
        with closing(open_study(url, "lost")), pytest.raises(UserError, match="run by another process"):
            store.set("told", 7)
        assert kept_at(url, "lost")[2] == 0
    with closing(open_study(url, "lost")) as store:
        asked(postgresql, CUT)
        with closing(open_study(url, "lost")) as other:
            other.set("told", 8)
        with pytest.raises(UserError, match="this run has lost its study"):
            store.set("told", 9)
        assert kept_at(url, "lost")[2] == 8


def test_a_run_that_does_not_know_that_it_lost_the_study_writes_nothing(postgresql, url):
    """As on a line whose lock's end was lost, and the other's was not."""
    with closing(open_study(url, "fenced")) as store:
        searched(store, 1)
        asked(postgresql, f"UPDATE study_system_attributes SET value_json = '\"x\"' WHERE key = '{MARK}'")
        with pytest.raises(UserError, match="this run has lost its study"):
            searched(store, 1)
        assert store.get("told") == 0
        assert len(kept_at(url, "fenced")[0]) == 1
