"""A study that has ended: its bundle, and what running it again does."""

import json

import pytest
from paretune.search.run.session import run_study

pytestmark = pytest.mark.slow

SPACE = {"student": {"width": [4]}, "precision": ["fp32", "int8"], "backend": ["ort"]}


def files(root):
    """Every file below a directory, but for the lock that each session takes."""
    found = [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(root): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_a_run_ends_with_the_bundle_and_a_second_one_measures_and_changes_nothing(bench, shared_store):
    study = bench.study(store=shared_store, space=SPACE, budget={"trials": 3}, finalists=1)
    first = bench.run("run", study)
    assert first.returncode == 0, first.stderr
    run_dir = bench.root / "runs" / "blobs"
    assert f"bundle: {run_dir / 'bundle'}" in first.stdout
    manifest = json.loads((run_dir / "bundle" / "manifest.json").read_text())
    answer = json.loads((run_dir / "report" / "report.json").read_text())["verdict"]
    assert manifest["trial"] == answer["recommended"]

    before = files(run_dir)
    second = bench.run("run", study)
    assert second.returncode == first.returncode
    assert files(run_dir) == before
    assert second.stdout.splitlines()[1:] == first.stdout.splitlines()
    assert "--again" in second.stdout

    record = run_study(study).record
    once_more = run_study(study, again=True)
    assert not once_more.unchanged
    assert once_more.record.trials == record.trials
    assert once_more.record.finalists != record.finalists, "they were timed anew"

    raised = run_study(bench.study(store=shared_store, space=SPACE, budget={"trials": 4}, finalists=1))
    assert not raised.unchanged
    assert raised.record.counters["complete"] == 4
    assert run_study(bench.root / "blobs.yaml").unchanged


def test_where_nothing_is_recommended_no_bundle_stays(bench, shared_store):
    small = {**SPACE, "precision": ["fp32"], "student": {}}
    bundle = bench.root / "runs" / "blobs" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text('{"format": 1, "paretune": "0", "artifact": "model.onnx"}')
    study = bench.study(store=shared_store, space=small, budget={"trials": 1}, constraints=["size <= 10 B"])
    run = bench.run("run", study)
    assert run.returncode == 2, run.stderr
    assert "bundle: none" in run.stdout
    assert not bundle.exists()
