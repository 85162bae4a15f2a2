"""A folder as the Hugging Face hub lays out a model, and the upload of it."""

import json
import shutil
import threading

import paretune
import pytest
import yaml
from hub_server import HubServer
from huggingface_hub import ModelCard
from paretune.reports.push.parcel import NO_DATA, packed
from paretune.search.bundles.bundle import damages, read_bundle
from paretune.search.record.metrics import metric_info

TOKEN = "hf_geheim42"


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    into = tmp_path_factory.mktemp("out") / "digits"
    pushed = paretune.push(run, to="folder", into=into, license_id="mit")
    assert (pushed.where, pushed.trial, pushed.already) == (str(into), run.recommended, False)
    return into


def test_the_card_is_read_by_the_hubs_own_library_and_has_the_records_numbers(run, folder):
    card = ModelCard.load(folder / "README.md")
    bundle = read_bundle(folder / "bundle")
    assert card.data.license == "mit"
    assert card.data.library_name == "onnxruntime"
    assert {"paretune", "ort", "int8", "distillation"} <= set(card.data.tags)
    tested = [one for one in card.data.eval_results if one.dataset_split == "test"]
    accuracy = [one for one in tested if one.metric_type == "accuracy"]
    told = bundle.metrics["accuracy"]
    assert [one.metric_value for one in accuracy] == [told.value]
    assert (accuracy[0].metric_args["low"], accuracy[0].metric_args["high"]) == (told.low, told.high)


def test_the_card_says_what_it_is_what_it_lost_and_what_nobody_looked_at(run, folder):
    text = (folder / "README.md").read_text()
    bundle = read_bundle(folder / "bundle")
    latency = metric_info("latency_ms").format(bundle.metrics["latency_ms"].value)
    assert latency in text
    assert bundle.files[bundle.artifact.name].sha256 in text
    assert "class 8: 91 % against the teacher's 94 %" in text
    unchecked = text.partition("## What was not checked")[2]
    assert "energy" in unchecked
    assert "throughput" in unchecked
    for limit in run.record.limits:
        assert limit.text.replace("<", "&lt;").replace(">", "&gt;") in text


def test_large_files_are_git_lfs_and_the_bundle_is_whole(folder):
    bundle = read_bundle(folder / "bundle")
    assert damages(bundle) == {}
    assert f"*{bundle.artifact.suffix} filter=lfs" in (folder / ".gitattributes").read_text()


def test_a_second_push_changes_nothing_and_a_damaged_folder_is_written_again(run, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert paretune.push(run, to="folder", into=folder, license_id="mit").already
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    (folder / "bundle" / "run.py").write_text("print()")
    assert not paretune.push(run, to="folder", into=folder, license_id="mit").already
    assert damages(read_bundle(folder / "bundle")) == {}
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


def test_what_else_stands_there_stays(run, tmp_path):
    (tmp_path / "own.txt").write_text("mine")
    with pytest.raises(paretune.UserError, match="something else stands"):
        paretune.push(run, to="folder", into=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"to": "nowhere"}, "--to"),
        ({"to": "folder", "license_id": "GPL 3"}, "--license"),
        ({"to": "folder", "uri": "http://x"}, "--uri"),
        ({"to": "mlflow", "into": "x"}, "--into"),
        ({"to": "mlflow", "uri": "ftp://x"}, "--uri"),
        ({"to": "hf"}, "--name"),
        ({"to": "hf", "name": "alone"}, "--name"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_packed(run, asked, place):
    with pytest.raises(paretune.UserError, match=r".") as refused:
        paretune.push(run, **asked)
    assert refused.value.place == place


@pytest.fixture(scope="module")
def hub():
    server = HubServer(TOKEN)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_hub_gets_the_same_files_once_in_a_private_repository(run, hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    asked = {"to": "hf", "name": "ann/digits", "uri": hub.address, "license_id": "mit"}
    first = paretune.push(run, **asked)
    assert (first.where, first.already) == (f"{hub.address}/ann/digits", False)
    assert [one["visibility"] for one in hub.created] == ["private"]
    laid_out = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(hub.files) == laid_out
    manifest = json.loads(hub.files["bundle/manifest.json"])
    assert manifest["trial"] == run.recommended
    head = yaml.safe_load(hub.files["README.md"].decode().split("---")[1])
    assert head["model-index"][0]["name"] == "digits"
    commits = len(hub.commits)
    assert paretune.push(run, **asked).already
    assert len(hub.commits) == commits


def test_samples_are_kept_from_a_repository_that_all_may_see(run, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(hub, "created", [{}])
    monkeypatch.setattr(hub, "public", True)
    commits = len(hub.commits)
    with pytest.raises(paretune.UserError, match="all may see") as refused:
        paretune.push(run, to="hf", name="ann/digits", uri=hub.address)
    assert "--public" in refused.value.remedy
    assert len(hub.commits) == commits
    assert not paretune.push(run, to="hf", name="ann/digits", uri=hub.address, public=True).already


def test_a_hub_that_refuses_or_is_silent_is_an_error_without_the_token(run, hub, monkeypatch):
    asked = {"to": "hf", "name": "ann/digits"}
    monkeypatch.setenv("HF_TOKEN", "hf_wrong99")
    for address in (hub.address, "http://127.0.0.1:9"):
        with pytest.raises(paretune.UserError, match=r".") as refused:
            paretune.push(run, **asked, uri=address)
        assert refused.value.place == address
        assert refused.value.remedy
        assert "hf_wrong99" not in str(refused.value)


def test_without_a_token_the_login_is_named(run, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(paretune.UserError, match="no token"):
        paretune.push(run, to="hf", name="ann/digits")
    shutil.rmtree(tmp_path)


def test_no_samples_go_to_a_public_place(run):
    number = run.reading.recommended.number
    with packed(run.reading, number, run.folder, public=True) as parcel:
        assert parcel.bundle.left_out["samples"] == NO_DATA.without
