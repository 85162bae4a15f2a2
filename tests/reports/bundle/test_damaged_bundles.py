"""Bundles that somebody changed: their own script says so in one line, and `paretune run` makes them anew."""

import importlib.util
import io
import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.reports.bundle.recommended import recommended_bundle
from paretune.reports.bundle.write import export_bundle
from paretune.search.bundles.files import is_bundle, is_whole
from paretune.search.ranking.reading import read


@pytest.fixture
def bundle(exportable, tmp_path):
    (tmp_path / "secret").write_text("secret")
    return export_bundle(exportable, 0, tmp_path / "bundle")


def ended(bundle, monkeypatch, *arguments):
    """What the bundle's script ends with: a line, or None where it ends well."""
    spec = importlib.util.spec_from_file_location("run_of_a_bundle", bundle / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["run.py", *map(str, arguments)])
    try:
        module.main()
    except SystemExit as end:
        return end.code
    return None


def test_a_whole_bundle_runs(bundle, monkeypatch):
    assert ended(bundle, monkeypatch) is None
    assert is_whole(bundle)


HASH = {"sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"}  # of "secret"


@pytest.mark.parametrize(
    "changes",
    [
        {"artifact": "../secret", "files": {"../secret": HASH}},
        {"artifact": "/etc/passwd", "files": {"/etc/passwd": HASH}},
        {"artifact": "..", "files": {"..": HASH}},
        {"artifact": "", "files": {"": HASH}},
        {"artifact": "\0", "files": {"\0": HASH}},
        {"artifact": None},
        {"artifact": ["model.onnx"]},
        {"artifact": "none.onnx"},
        {"files": {}},
        {"files": None},
        {"files": {"model.onnx": HASH, "sample.npz": HASH}},
        {"files": {"model.onnx": "sha", "sample.npz": "sha"}},
        {"batch": 0},
        {"batch": 10**12},
        {"batch": "2"},
        {"batch": None},
        {"batch": True},
        {"threads": -1},
        {"threads": 10**6},
    ],
)
def test_a_changed_manifest_is_one_line(bundle, monkeypatch, changes):
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    line = ended(bundle, monkeypatch)
    assert line.endswith("this bundle is damaged, export it again")
    assert "\n" not in line


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"text"', "{}", "[" * 100_000, "\x00", "1e999"])
def test_a_manifest_that_is_none_is_one_line(bundle, monkeypatch, text):
    (bundle / "manifest.json").write_text(text)
    assert ended(bundle, monkeypatch).endswith("this bundle is damaged, export it again")
    assert not is_bundle(bundle)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "sample.npz"])
@pytest.mark.parametrize("kind", ["gone", "folder", "other bytes"])
def test_a_changed_file_is_one_line(bundle, monkeypatch, name, kind):
    if kind == "other bytes":
        (bundle / name).write_bytes(b"other")
    else:
        (bundle / name).unlink()
    if kind == "folder":
        (bundle / name).mkdir()
    assert "\n" not in ended(bundle, monkeypatch)
    assert not is_whole(bundle)


def test_an_artifact_that_does_not_load_is_one_line(bundle, monkeypatch):
    """Also where the manifest was changed with it."""
    (bundle / "model.onnx").write_bytes(b"secret")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = HASH
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert ended(bundle, monkeypatch).startswith("the runtime does not load model.onnx: ")


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", npz(x=np.ones((2, 4)))[:100], npz(x=np.array(["a"])), npz(x=np.array([[None] * 4]))],
    ids=["empty", "text", "half", "names", "objects"],
)
def test_inputs_that_are_none_are_one_line(bundle, monkeypatch, tmp_path, content):
    (tmp_path / "in.npz").write_bytes(content)
    line = ended(bundle, monkeypatch, tmp_path / "in.npz")
    assert line
    assert "\n" not in line


def test_a_place_that_cannot_be_written_is_one_line(bundle, monkeypatch, tmp_path):
    line = ended(bundle, monkeypatch, "-o", tmp_path / "none" / "out.npz")
    assert line.startswith(f"{tmp_path / 'none' / 'out.npz'} cannot be written")


def put(path, stranger):
    """Something of nobody's in this place."""
    if stranger == "file":
        path.write_text("mine")
    elif stranger == "link":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path)


@pytest.mark.parametrize("stranger", ["file", "link", "pipe", "long", "file above"])
def test_a_bundle_is_not_written_over_strangers(exportable, tmp_path, stranger):
    into = tmp_path / "into"
    if stranger == "long":
        into = tmp_path / ("n" * 300)
    else:
        put(into, "file" if stranger == "file above" else stranger)
        into = into / "bundle" if stranger == "file above" else into
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UserError) as caught:
        export_bundle(exportable, 0, into)
    assert caught.value.place == str(into)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_name_of_255_letters_is_a_bundle_as_any_other(exportable, tmp_path):
    assert is_whole(export_bundle(exportable, 0, tmp_path / ("n" * 255)))


@pytest.fixture
def finished(exportable, tmp_path):
    """A study that recommends a trial whose artifact is there, and the directory of its run."""
    reading = read(exportable)
    trials = tuple(
        replace(
            t, evaluation=replace(t.evaluation, artifact_key=exportable.trials[0].evaluation.artifact_key)
        )
        if t.number == reading.verdict.recommended
        else t
        for t in exportable.trials
    )
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    return read(replace(exportable, trials=trials)), run_dir


def test_a_damaged_bundle_of_a_finished_study_is_written_anew(finished):
    reading, run_dir = finished
    bundle = recommended_bundle(reading, run_dir)
    before = (bundle / "manifest.json").stat().st_mtime_ns
    assert recommended_bundle(reading, run_dir, renew=False) == bundle
    assert (bundle / "manifest.json").stat().st_mtime_ns == before
    artifact = bundle / json.loads((bundle / "manifest.json").read_text())["artifact"]
    artifact.write_bytes(b"other")
    assert recommended_bundle(reading, run_dir, renew=False) == bundle
    assert is_whole(bundle)
    assert sorted(path.name for path in run_dir.iterdir()) == ["bundle"]


@pytest.mark.parametrize("stranger", ["file", "folder", "manifest of others", "link", "pipe"])
def test_strangers_where_the_recommended_bundle_belongs_stay(finished, stranger):
    reading, run_dir = finished
    into = run_dir / "bundle"
    if stranger in ("file", "link", "pipe"):
        put(into, stranger)
    else:
        into.mkdir()
        (into / "manifest.json" if "manifest" in stranger else into / "mine").write_text("{}")
    with pytest.raises(UserError, match="something that is no bundle"):
        recommended_bundle(reading, run_dir)
    assert sorted(path.name for path in run_dir.iterdir()) == ["bundle"]
