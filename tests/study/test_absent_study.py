"""A study for a device that is absent: estimated, timed by hand, corrected; and never also measured."""

import json
import subprocess
import sys

import pytest
from paretune.search.record.metrics import HARDWARE_METRICS
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow
COUNTED = {"size_bytes", "compressed_bytes", "parameters", "macs"}
PROFILE = "raspberry-pi-5"


@pytest.fixture(scope="module")
def ran(bench_in, tmp_path_factory):
    """An estimated study, with what it said."""
    bench = bench_in(tmp_path_factory.mktemp("absent"))
    space = {"student": {"width": [4]}, "precision": ["fp32", "int8"], "backend": ["toy"]}
    study = bench.study(space=space, profile=PROFILE, budget={"trials": 4}, finalists=1)
    done = bench.run("run", study, "--estimate")
    assert done.returncode == 0, done.stderr
    return bench, study, done


def taken_on_device(record):
    found = [q for t in record.trials for q in t.evaluation.metrics.items()]
    return [quantity for name, quantity in found if name in HARDWARE_METRICS - COUNTED]


def test_all_that_a_device_would_show_is_estimated(ran):
    bench, study, done = ran
    record = open_run(study)[0]
    assert record.estimated is not None
    assert taken_on_device(record)
    assert all(q.is_estimate and q.low < q.value < q.high for q in taken_on_device(record))
    assert all(stage.name != "measure" for t in record.trials for stage in t.evaluation.stages)
    assert record.finalists
    assert "packages" not in record.environment
    assert "measured" not in done.stdout
    page = (bench.root / "runs/blobs/report/report.md").read_text()
    assert "Estimates for a device that was not there" in page
    assert json.loads((bench.root / "runs/blobs/bundle/manifest.json").read_text())["estimated"] is True


def test_timings_from_the_device_correct_all_of_it(ran):
    bench, study, _ = ran
    before = {t.evaluation.artifact_key: t.evaluation for t in open_run(study)[0].trials}
    folder = bench.root / "runs/blobs/to-measure"
    timed = subprocess.run(
        [sys.executable, folder / "measure.py", "--runs", "5"], capture_output=True, text=True, timeout=200
    )
    assert timed.returncode == 0, timed.stderr
    done = bench.run("run", study, "--measurements", folder / "measurements.csv")
    assert done.returncode == 0, done.stderr
    record = open_run(study)[0]
    brought = {one.artifact: one for one in record.estimated.brought}
    assert brought
    for trial in (t for t in record.trials if t.evaluation.artifact_key in brought):
        now, known = trial.evaluation.metrics["latency_ms"], brought[trial.evaluation.artifact_key]
        assert now.value == pytest.approx(known.metrics["latency_ms"])
        assert now.is_estimate
        assert known.estimate == before[known.artifact].metrics["latency_ms"]
        assert all(stage.cached for stage in trial.evaluation.stages)  # nothing was trained or scored again
    again = bench.run("run", study, "--estimate")
    assert again.returncode == 0
    assert open_run(study)[0].ended == record.ended
    assert (folder / "measurements.csv").is_file()
