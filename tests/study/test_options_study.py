"""How a model is best run on a runtime is found without training anything, kept, shown and bundled."""

import json
import subprocess
import sys

import numpy as np
import pytest
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(bench_in, tmp_path_factory):
    """A finished study of the teacher alone, on a runtime that is twice as fast where it is told to be."""
    bench = bench_in(tmp_path_factory.mktemp("options"))
    deploy = {"threads": [1, 1000], "batch": [1, 8], "options": "search"}
    space = {"precision": ["fp32"], "backend": ["toy"]}
    study = bench.study(space=space, budget={"trials": 1}, finalists=1, deploy=deploy, constraints=[])
    assert "2 settings of each of 1 finalist" in bench.run("plan", study).stdout
    done = bench.run("run", study)
    assert done.returncode == 0, done.stderr
    return bench, study


def test_what_gains_is_chosen_by_a_fresh_measurement(ran):
    record, _ = open_run(ran[1])
    options = record.finalists[0].deployed.options
    assert options.changes == {"batch": "8", "pace": "run"}
    assert options.ratio_to_default.high < 1 / 2
    assert options.artifact_key not in ("", record.trials[0].evaluation.artifact_key)
    assert any("1000" in why for why in options.untried)
    searched, found = record.trials[0].evaluation.metrics, record.finalists[0].metrics
    per_sample = found["latency_ms"].value / 8
    assert per_sample == pytest.approx(options.ratio_to_default.value * searched["latency_ms"].value, rel=0.1)


def test_reports_name_it(ran):
    bench, study = ran
    report = bench.root / "runs" / "blobs" / "report"
    for text in ((report / "report.html").read_text(), (report / "report.md").read_text()):
        assert "Deployment options" in text
        assert "batch 8, pace run" in text
    assert "options_gain" in (report / "trials.csv").read_text().splitlines()[0]
    assert json.loads((report / "report.json").read_text())["record"]["finalists"][0]["deployed"]["options"]
    assert "pace run" in bench.run("explain", study, 0).stdout


def test_the_bundle_runs_with_it(ran, tmp_path):
    bench, _ = ran
    bundle = bench.root / "runs" / "blobs" / "bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (manifest["batch"], manifest["options"]) == (8, {"pace": "run"})
    subprocess.run(
        [sys.executable, "run.py", "-o", tmp_path / "out.npz"], cwd=bundle, check=True, timeout=120
    )
    with np.load(tmp_path / "out.npz") as got, np.load(bundle / "expected.npz") as wanted:
        assert all(np.allclose(got[name], wanted[name]) for name in wanted.files)
        assert all(len(array) == 8 for array in got.values())


def test_what_was_tried_is_not_measured_again(ran):
    bench, study = ran
    kept = bench.root / ".paretune" / "store" / "options"
    before = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert bench.run("run", "--again", study).returncode == 0
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    assert open_run(study)[0].finalists[0].deployed.options.changes == {"batch": "8", "pace": "run"}
