"""A backend that another package brings goes the whole way: nothing of ours knows its name."""

import json
import subprocess
import sys

import numpy as np
import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(bench_in, tmp_path_factory):
    """A finished study on the toy backend and one of ours."""
    bench = bench_in(tmp_path_factory.mktemp("toy"))
    space = {"student": {"width": [4]}, "precision": ["fp32", "int8"], "backend": ["toy", "ort"]}
    study = bench.study(space=space, budget={"trials": 4}, finalists=1)
    planned = bench.run("plan", study)
    assert "toy" in planned.stdout, planned.stderr
    done = bench.run("run", study)
    assert done.returncode in (0, 2), done.stderr
    return bench, study


def best_of(bench, study):
    report = bench.root / "runs" / "blobs" / "report"
    trials = {t.number: t.evaluation for t in open_run(study)[0].trials}
    page = (report / "report.html").read_text()
    return trials, page, json.loads((report / "report.json").read_text())


def test_it_is_evaluated_ranked_and_reported(ran):
    trials, page, plain = best_of(*ran)
    mine = [number for number, e in trials.items() if e.candidate.backend == "toy"]
    complete = [number for number in mine if trials[number].outcome is Outcome.COMPLETE]
    assert {str(trials[number].candidate.precision) for number in complete} == {"fp32", "int8"}
    for number in complete:
        assert trials[number].metrics["latency_ms"].value > 0
        assert trials[number].weight_bytes
    assert plain["verdict"]["recommended"] in trials
    assert all(trials[number].candidate.title in page for number in complete)


def test_the_environment_notes_its_package(ran):
    record, _ = open_run(ran[1])
    assert record.environment["packages"]["paretune-toy"] == "1"


def test_it_is_explained_and_bundled(ran, tmp_path):
    bench, study = ran
    trials, _, _ = best_of(bench, study)
    number = next(n for n, e in trials.items() if e.candidate.backend == "toy" and e.artifact_key)
    assert trials[number].candidate.title in bench.run("explain", study, number).stdout
    bundle = tmp_path / "bundle"
    exported = bench.run("export", study, number, "--output", bundle)
    assert exported.returncode == 0, exported.stderr
    assert "paretune-toy==1" in (bundle / "requirements.txt").read_text()
    subprocess.run([sys.executable, "run.py", "-o", "out.npz"], cwd=bundle, check=True, timeout=120)
    with np.load(bundle / "out.npz") as got, np.load(bundle / "expected.npz") as wanted:
        assert {name: array.shape for name, array in got.items()} == {n: a.shape for n, a in wanted.items()}
        assert all(np.allclose(got[name], wanted[name]) for name in wanted.files)


def test_it_is_listed_with_what_it_offers(ran):
    bench, _ = ran
    listed = bench.run("devices", "raspberry-pi-5").stdout
    assert "toy" in listed or "Toy" in listed
