"""Report, card and bundle beside the trial, asked for as a browser does."""

import io
import json
import zipfile

import optuna
import paretune
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi
from werkzeug.test import Client


@pytest.fixture(scope="module")
def pushed(run):
    report = run.folder / "report"
    report.mkdir()
    (report / "report.html").write_text("<!doctype html><title>digits</title>")
    return paretune.push(run, to="dashboard")


@pytest.fixture
def dashboard(run, pushed):
    """The application that `optuna-dashboard` serves, on the storage and directory that it is told."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{run.folder / 'study.db'}")
    return Client(wsgi(storage, artifact_store=FileSystemArtifactStore(pushed.where)))


def artifacts(dashboard, run):
    study = dashboard.get("/api/studies/1").json
    trial = next(one for one in study["trials"] if one["number"] == run.recommended)
    return trial["trial_id"], {one["filename"]: one for one in trial["artifacts"]}


def test_the_trial_has_report_card_and_bundle(run, pushed, dashboard):
    trial, kept = artifacts(dashboard, run)
    archive = f"bundle-trial-{run.recommended}.zip"
    assert set(kept) == {"report.html", "model_card.md", archive}
    page = dashboard.get(f"/artifacts/1/{trial}/{kept['report.html']['artifact_id']}")
    assert (page.status_code, page.content_type, page.text) == (
        200,
        "text/html",
        "<!doctype html><title>digits</title>",
    )
    packed = dashboard.get(f"/artifacts/1/{trial}/{kept[archive]['artifact_id']}").data
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        manifest = json.loads(opened.read(f"bundle-trial-{run.recommended}/manifest.json"))
    assert manifest["trial"] == run.recommended


def test_pushed_twice_it_is_there_once_and_what_is_new_takes_its_place(run, dashboard):
    _, before = artifacts(dashboard, run)
    assert paretune.push(run, to="dashboard").already
    (run.folder / "report" / "report.html").write_text("<p>newer")
    assert not paretune.push(run, to="dashboard").already
    trial, after = artifacts(dashboard, run)
    assert after == before
    assert dashboard.get(f"/artifacts/1/{trial}/{after['report.html']['artifact_id']}").text == "<p>newer"


def test_what_was_deleted_there_comes_back(run, dashboard):
    trial, before = artifacts(dashboard, run)
    gone = before["model_card.md"]["artifact_id"]
    # Of a trial that has finished, it answers with an error after it has removed the artifact.
    dashboard.delete(f"/api/artifacts/1/{trial}/{gone}")
    assert set(artifacts(dashboard, run)[1]) == set(before) - {"model_card.md"}
    assert not paretune.push(run, to="dashboard").already
    assert set(artifacts(dashboard, run)[1]) == set(before)


def test_the_command_that_shows_it_names_storage_and_directory(run, pushed):
    (note,) = pushed.notes
    assert str(run.folder / "study.db") in note
    assert f"--artifact-dir {pushed.where}" in note
