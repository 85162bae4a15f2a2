"""A database server that goes away in the middle of a study, and comes back."""

import shutil
import time
from contextlib import closing

import psycopg2
import pytest
from postgresql import ENCODED, PASSWORD, server

from benchmarks.faults.site import end, unkilled
from benchmarks.faults.toy import toy_site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgresql():
    with server() as one:
        yield one


def told(place):
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
            )
            return dict(cursor.fetchall())
    except psycopg2.Error:
        return {}


def test_a_server_that_is_stopped_and_started_costs_one_message_and_no_trial(
    tmp_path, warm, made_store, postgresql
):
    storage = f"postgresql+psycopg2://study:{ENCODED}@{postgresql.place}"
    site = toy_site(tmp_path / "site", warm, budget={"trials": 2}, storage=storage)
    shutil.copytree(made_store, site.store)
    process = site.start("run", site.study)
    try:
        deadline = time.monotonic() + 120
        while not (before := told(postgresql.place)) and process.poll() is None:
            assert time.monotonic() < deadline, site.said()
            time.sleep(0.05)
        postgresql.stop()
        assert process.wait(240) == 1, site.said()
    finally:
        end(process)
    assert "error:" in site.said()
    assert "Traceback" not in site.said()
    assert PASSWORD not in site.said()
    assert unkilled(site, "report", site.study) == 1
    postgresql.start()
    assert unkilled(site, "run", site.study) in (0, 2), site.said()
    after = told(postgresql.place)
    assert {number: after.get(number) for number in before} == before
    assert len(after) == 2
