"""One run at a time on a study, wherever the runs are."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path

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


def test_studies_of_one_name_in_two_schemas_are_two_however_the_way_to_them_is_named(postgresql, url):
    postgresql.asked("CREATE SCHEMA a; CREATE SCHEMA b; CREATE SCHEMA none")

    def by(path):
        return replace(url, text=f"{url.text}?options=-csearch_path%3D{path}")

    with closing(open_study(by("a"), "one")) as store, closing(open_study(by("b"), "one")):
        searched(store, 1)
        for path in ("a", "none,a"):
            with pytest.raises(UserError, match="run by another process"):
                open_study(by(path), "one")
    with closing(open_study(by("none,a"), "one")) as store:
        assert len(store.study.trials) == 1


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
        postgresql.asked(CUT)
        searched(store, 1)
        postgresql.asked(CUT)
        with closing(open_study(url, "lost")), pytest.raises(UserError, match="run by another process"):
            store.set("told", 7)
        assert kept_at(url, "lost")[2] == 0
    with closing(open_study(url, "lost")) as store:
        postgresql.asked(CUT)
        with closing(open_study(url, "lost")) as other:
            other.set("told", 8)
        with pytest.raises(UserError, match="this run has lost its study"):
            store.set("told", 9)
        assert kept_at(url, "lost")[2] == 8


def test_a_run_that_does_not_know_that_it_lost_the_study_writes_nothing(postgresql, url):
    """As on a line whose lock's end was lost, and the other's was not."""
    with closing(open_study(url, "fenced")) as store:
        searched(store, 1)
        postgresql.asked(f"UPDATE study_system_attributes SET value_json = '\"x\"' WHERE key = '{MARK}'")
        with pytest.raises(UserError, match="this run has lost its study"):
            searched(store, 1)
        assert store.get("told") == 0
        assert len(kept_at(url, "fenced")[0]) == 1
