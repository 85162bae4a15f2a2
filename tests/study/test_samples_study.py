"""Finalists keep a few samples with what their artifact gave for them; others take them at export."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from paretune.reports.bundle.companions import Beside, reference_of, samples_of
from paretune.search.record.progress import Progress
from paretune.search.run.samples import with_samples
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ended(bench_in, tmp_path_factory):
    """A study with a student and the teacher at two precisions, of which two are finalists."""
    bench = bench_in(tmp_path_factory.mktemp("samples"))
    space = {"student": {"width": [4]}, "precision": ["fp32", "int8"], "backend": ["toy"]}
    study = bench.study(space=space, budget={"trials": 3}, finalists=1)
    return study, run_study(study).record


def arrays(entry):
    with np.load(entry.file("samples.npz")) as file:
        return {name: file[name] for name in file.files}


def test_finalists_have_their_samples_and_what_they_are_told_against(ended):
    _, record = ended
    for one in record.finalists:
        entry, why_not = samples_of(record, one.number, Beside())
        assert why_not == ""
        found = arrays(entry)
        assert len(found["targets"]) == entry.meta["count"] == 120
        right = np.mean(found["output output"].argmax(1) == found["targets"])
        assert entry.meta["quality"]["value"] == pytest.approx(right)
        assert entry.meta["by"] == "built-in"
        assert reference_of(record, one.number, Beside())[0] is not None


def test_all_finalists_have_the_same_samples(ended):
    _, record = ended
    entries = [samples_of(record, one.number, Beside())[0] for one in record.finalists]
    inputs = {arrays(entry)["input x"].tobytes() for entry in entries}
    names = {entry.meta["quality"]["by_sample"]["samples"] for entry in entries}
    assert (len(entries) > 1, len(inputs), len(names)) == (True, 1, 1)


def test_another_candidate_takes_its_samples_at_export(ended):
    study, record = ended
    finalists = {one.number for one in record.finalists}
    number = next(t.number for t in record.trials if t.number not in finalists)
    assert samples_of(record, number, Beside())[0] is None
    had = with_samples(study, record, number, Progress())
    assert had.why_not == ""
    entry, _ = samples_of(had.record, number, Beside(samples=had.key))
    some = samples_of(record, next(iter(finalists)), Beside())[0]
    assert arrays(entry)["input x"].tobytes() == arrays(some)["input x"].tobytes()


def test_where_they_cannot_be_had_it_is_said_why(ended, tmp_path):
    study, record = ended
    moved = tmp_path / "runs" / "blobs"
    shutil.copytree(study.parent / "runs" / "blobs", moved)
    plain = json.loads((moved / "run.json").read_text())
    gone = {"study_file": "/nowhere/study.yaml", "study_file_from_here": "no.yaml"}
    (moved / "run.json").write_text(json.dumps(plain | gone))
    copied, _ = open_run(moved)
    finalists = {one.number for one in record.finalists}
    number = next(t.number for t in record.trials if t.number not in finalists)
    had = with_samples(moved, copied, number, Progress())
    assert "study file is gone" in had.why_not
    entry, why_not = samples_of(had.record, number, Beside(without=had.why_not))
    assert (entry, why_not) == (None, had.why_not)


def test_changed_data_are_not_taken_for_those_that_it_was_scored_on(ended, tmp_path):
    study, record = ended
    other = tmp_path / "other"
    shutil.copytree(study.parent, other)
    workload = other / "blobs.py"
    workload.write_text(workload.read_text().replace('"test": 120', '"test": 121'))
    store = other / ".paretune" / "store"
    shutil.rmtree(store / "samples")
    copied = replace(open_run(other / study.name)[0], store=str(store))
    number = record.finalists[0].number
    had = with_samples(other / study.name, copied, number, Progress())
    assert "changed" in had.why_not
