"""A database server that goes away in the middle of a study, and comes back."""

import os
import random
import shutil
import signal
import time
from contextlib import closing

import psycopg2
import pytest
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.url import StorageUrl
from postgresql import ENCODED, PASSWORD, server

from benchmarks.faults.site import GROUP, end, kill, unkilled
from benchmarks.faults.toy import toy_site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgresql():
    with server() as one:
        yield one


def told(place, name):
    """What is told so far; nothing where there is no study yet."""
    address, _, database = place.partition("/")
    host, port = address.split(":")
    try:
        with (
            closing(
                psycopg2.connect(host=host, port=port, dbname=database, user="study", password=PASSWORD)
            ) as base,
            base.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT t.number, a.value_json FROM trials t JOIN trial_user_attributes a"
                " ON a.trial_id = t.trial_id WHERE a.key = 'evaluation'"
                " AND t.study_id = (SELECT study_id FROM studies WHERE study_name = %s)",
                (name,),
            )
            return dict(cursor.fetchall())
    except psycopg2.Error:
        return {}


def at_work(process, site, postgresql, trials):
    """What was told by when so many trials were."""
    deadline = time.monotonic() + 240
    while len(found := told(postgresql.place, site.study.stem)) < trials and process.poll() is None:
        assert time.monotonic() < deadline, site.said()
        time.sleep(0.05)
    assert process.poll() is None, site.said()
    return found


def made_of(url):
    """What does not depend on how fast anything was."""
    with closing(StudyStore.load(url, "restarts")) as store:
        found = [(record.number, record.evaluation) for record in store.records()]
    return [(number, one.candidate, one.outcome, one.metrics.get("accuracy")) for number, one in found]


def test_a_server_that_is_killed_in_mid_study_and_comes_back_changes_nothing(
    tmp_path, warm, made_store, postgresql
):
    alone = toy_site(tmp_path / "alone", warm, name="restarts", budget={"trials": 2})
    shutil.copytree(made_store, alone.store)
    assert unkilled(alone, "run", alone.study) in (0, 2), alone.said()
    storage = f"postgresql+psycopg2://study:{ENCODED}@{postgresql.place}"
    site = toy_site(tmp_path / "site", warm, name="restarts", budget={"trials": 2}, storage=storage)
    shutil.copytree(made_store, site.store)
    process = site.start("run", site.study)
    try:
        at_work(process, site, postgresql, 1)
        postgresql.kill()
        postgresql.start()
        assert process.wait(240) in (0, 2), site.said()
    finally:
        end(process)
    assert "Traceback" not in site.said()
    assert made_of(StorageUrl(storage, tmp_path)) == made_of(StorageUrl.of_file(alone.database))


def test_a_driver_that_is_killed_is_replaced_on_another_machine_and_a_server_that_stays_away_is_told(
    tmp_path, warm, made_store, postgresql
):
    storage = f"postgresql+psycopg2://study:${{DB_PASSWORD}}@{postgresql.place}"

    def machine(name, trials):
        """With a store and a directory of its own."""
        site = toy_site(tmp_path / name, warm, name="moved", budget={"trials": trials}, storage=storage)
        site.environment["DB_PASSWORD"] = PASSWORD
        shutil.copytree(made_store, site.store)
        return site

    one = machine("one", 5)
    process = one.start("run", one.study)
    at_work(process, one, postgresql, 1)
    kill(process, GROUP, random.Random(0))
    before = told(postgresql.place, "moved")
    other = machine("other", len(before) + 2)
    process = other.start("run", other.study)
    try:
        at_work(process, other, postgresql, len(before) + 1)
        listed = [one.cmdline() for one in process.children(recursive=True)]
        postgresql.stop()
        deadline = time.monotonic() + 120
        while "it is waited for" not in other.said():
            assert time.monotonic() < deadline, other.said()
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(240) == 1, other.said()
    finally:
        end(process)
        postgresql.start()
    assert unkilled(other, "run", other.study) in (0, 2), other.said()
    after = told(postgresql.place, "moved")
    assert {number: after.get(number) for number in before} == before
    assert len(after) == len(before) + 2
    said = one.said() + other.said()
    assert "error:" in said
    assert "Traceback" not in said
    kept = [str(listed)]
    kept += [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in (*kept, *after.values()) if PASSWORD in text or ENCODED in text]
