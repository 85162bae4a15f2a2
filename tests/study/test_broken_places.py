"""Places that cannot be written or were damaged: one message that says what to do, and nothing is lost."""

import json
import shutil

import pytest
from paretune.profiles.errors import UserError
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run
from paretune.search.storage.storage import storage_trouble_explained
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.url import StorageUrl

pytestmark = pytest.mark.slow


@pytest.fixture
def finished(bench, shared_store):
    study = bench.study(store=shared_store, budget={"trials": 3}, finalists=1)
    run_study(study)
    return study, bench.root / "runs" / "blobs"


def test_a_run_directory_may_be_moved_and_its_store_lost(finished, tmp_path):
    _, run_dir = finished
    moved = tmp_path / "another place ü" / "run"
    shutil.copytree(run_dir, moved)
    plain = json.loads((moved / "run.json").read_text())
    (moved / "run.json").write_text(json.dumps({**plain, "store": "/nowhere", "study_file": "/nowhere.yaml"}))
    shutil.move(run_dir, tmp_path / "away")
    assert open_run(moved)[0].counters["complete"] == 3


def test_a_lost_or_damaged_study_is_named_and_not_replaced_by_an_empty_one(finished):
    study, run_dir = finished
    database = run_dir / "study.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:20_000])
    for path in (study, run_dir):
        with pytest.raises(UserError, match=r"study\.db[\s\S]*lost or damaged"):
            open_run(path)
    database.unlink()
    for path in (study, run_dir):
        with pytest.raises(UserError, match=r"study\.db: the study's storage is gone"):
            open_run(path)
    assert not database.exists()
    (run_dir / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json: the run's own file cannot be read"):
        open_run(run_dir)
    assert run_study(study).record.counters["trainings"] == 0, "the store still has every training"


def test_a_storage_that_fails_in_the_middle_is_one_message(finished):
    _, run_dir = finished
    url = StorageUrl.of_file(run_dir / "study.db")
    store = StudyStore.load(url, "blobs")
    (run_dir / "study.db").write_bytes(b"not a database" * 2000)
    with pytest.raises(UserError, match="the study's storage fails"), storage_trouble_explained(url):
        store.set("something", 1)


def test_a_run_directory_that_cannot_be_written(bench, shared_store):
    (bench.root / "file").write_text("")
    with pytest.raises(UserError, match="a directory is needed"):
        run_study(bench.study(store=shared_store, runs="file"))
    with pytest.raises(UserError, match="run's directory cannot be written"):
        run_study(bench.study(store=shared_store, runs="/proc/runs"))


def test_a_storage_file_is_relative_to_the_study_file(bench, shared_store, tmp_path, monkeypatch):
    study = bench.study(store=shared_store, storage="sqlite:///kept.db", budget={"trials": 2}, finalists=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run_study(study)
    assert (bench.root / "kept.db").is_file()
    assert open_run(bench.root / "runs" / "blobs")[0].counters["complete"] == 2
    assert list(elsewhere.iterdir()) == []
