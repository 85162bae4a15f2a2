"""Studies on other storages, and in Optuna's own dashboard."""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna
import pytest
from paretune.profiles.errors import UserError
from paretune.reports.pages.write import write_report
from paretune.search.cluster.fitness import facts_of
from paretune.search.job.job import load_job
from paretune.search.ranking.reading import read
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run
from paretune.search.storage.driver_lock import only_driver
from paretune.search.storage.storage import close_storage, open_storage
from paretune.search.storage.url import StorageUrl
from postgresql import ENCODED, PASSWORD, free_port, server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def postgresql():
    """Host, port and database of a real PostgreSQL server of this test's own; user `study` has a password."""
    with server() as one:
        yield one.place


def test_postgresql(bench, shared_store, postgresql, tmp_path, monkeypatch):
    """A password from the environment is used, and kept nowhere."""
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    storage = f"postgresql+psycopg2://study:${{DB_PASSWORD}}@{postgresql}"
    study = bench.study("on-server", store=shared_store, storage=storage, budget={"trials": 3})
    assert run_study(study).record.counters["complete"] == 3
    store = tmp_path / "store"
    shutil.copytree(shared_store, store)
    more = bench.study("on-server", store=str(store), storage=storage, budget={"trials": 4})
    reading = read(run_study(more).record)
    assert reading.record.counters["complete"] == 4
    run_dir = bench.root / "runs" / "on-server"
    write_report(reading, run_dir / "report")
    at = StorageUrl.written(storage, bench.root)
    assert secrets_in(kept_of(run_dir, reading, at, "on-server")) == []
    sent = (facts_of(load_job(more)), load_job(more).problem(), str(more))
    assert secrets_in([str(sent), repr(at)]) == []
    assert open_run(run_dir)[0].name == "on-server"
    assert json.loads((run_dir / "run.json").read_text())["storage"] == storage
    # What another machine finds that has an empty directory, and sees the store at another place.
    for place in (run_dir, store):
        place.rename(f"{place}.other")
    elsewhere = bench.study("on-server", store=f"{store}.other", storage=storage, budget={"trials": 4})
    ended = run_study(elsewhere)
    assert ended.unchanged
    assert ended.record.trials == reading.record.trials
    assert ended.record.store == f"{store}.other"
    assert open_run(elsewhere)[0].trials == reading.record.trials
    run_dir = bench.root / "runs" / "on-server"
    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(UserError, match="DB_PASSWORD"):
        open_run(run_dir)


def test_a_second_run_is_refused_before_anything_is_trained(bench, postgresql):
    storage = f"postgresql+psycopg2://study:{ENCODED}@{postgresql}"
    at = StorageUrl.written(storage, bench.root)
    with only_driver(at, "twice"), pytest.raises(UserError, match="being run by another process"):
        run_study(bench.study("twice", storage=storage))
    assert not (bench.root / ".paretune" / "store" / "teacher").exists()
    assert not (bench.root / "runs").exists()


def test_a_password_in_a_study_file_is_kept_nowhere(bench, shared_store, postgresql, tmp_path, monkeypatch):
    storage = f"postgresql+psycopg2://study:{ENCODED}@{postgresql}"
    study = bench.study("clear", store=shared_store, storage=storage, budget={"trials": 2}, finalists=1)
    reading = read(run_study(study).record)
    run_dir = bench.root / "runs" / "clear"
    write_report(reading, run_dir / "report")
    at = StorageUrl.written(storage, bench.root)
    assert secrets_in(kept_of(run_dir, reading, at, "clear")) == []
    assert (run_dir / "run.json").stat().st_mode & 0o077 == 0
    assert open_run(run_dir)[0].name == "clear", "the study file has the password"
    study.unlink()
    with pytest.raises(UserError) as caught:
        open_run(run_dir)
    assert "pgpass" in caught.value.remedy
    host, port = postgresql.partition("/")[0].split(":")
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    (tmp_path / "pgpass").write_text(f"{host}:{port}:*:study:{escaped}\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert open_run(run_dir)[0].name == "clear"
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert open_run(run_dir)[0].name == "clear"
    # A study that an earlier version made has the password in its file.
    monkeypatch.delenv("PGPASSWORD")
    (run_dir / "run.json").write_text(json.dumps({"name": "clear", "storage": storage}))
    assert open_run(run_dir)[0].name == "clear"


def kept_of(run_dir, reading, url, name):
    """All texts that a study leaves anywhere."""
    files = [path.read_text(errors="replace") for path in run_dir.rglob("*") if path.is_file()]
    storage = open_storage(url, make=False)
    study = optuna.load_study(study_name=name, storage=storage)
    system = storage.get_study_system_attrs(study._study_id)
    attributes = [
        study.user_attrs,
        system,
        *((trial.user_attrs, trial.system_attrs) for trial in study.trials),
    ]
    close_storage(storage)
    return [*files, str(reading.record), *map(str, attributes)]


def secrets_in(texts):
    return [text for text in texts if ENCODED in text or PASSWORD in text]


def test_optuna_dashboard_opens_the_study(bench, shared_store):
    outcome = run_study(bench.study(store=shared_store, budget={"trials": 3}))
    port = free_port()
    command = [Path(sys.executable).parent / "optuna-dashboard", outcome.places.storage.kept]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], stderr=subprocess.DEVNULL
    ) as server:
        try:
            listed = _get(f"http://127.0.0.1:{port}/api/studies")
            summaries = listed.get("study_summaries") or listed
            assert "blobs" in json.dumps(summaries)
            number = next(row["study_id"] for row in summaries if row["study_name"] == "blobs")
            detail = _get(f"http://127.0.0.1:{port}/api/studies/{number}")
            assert len(detail["trials"]) >= 3
        finally:
            server.terminate()


def _get(url):
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
