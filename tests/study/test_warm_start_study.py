"""Studies that have run, as later studies of the same workload for another device see them."""

import shutil

import pytest
import yaml
from paretune.search.job.job import load_job
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study
from paretune.search.run.warm_start import earlier_results, remark

pytestmark = pytest.mark.slow

DEVICE = {
    "name": "board",
    "title": "this machine, described as a board of its own",
    "cpu": {
        "model": "board",
        "architecture": "x86-64",
        "cores": 1,
        "threads": 1,
        "instruction_sets": [],
        "memory_bytes": {"value": 1e9, "source": "made up for the test"},
        "source": "made up for the test",
    },
    "reach": {"kind": "local"},
}


def contents(directory):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(directory.rglob("*"))}


def qualities(record):
    """Candidate -> quality of every trial that was evaluated to the end, and evaluated itself."""
    return {
        trial.evaluation.candidate: trial.evaluation.metrics[record.quality].value
        for trial in record.trials
        if trial.evaluation.outcome is Outcome.COMPLETE and trial.duplicate_of is None
    }


def test_what_one_device_learned_holds_on_the_next(bench, shared_store):
    (bench.root / "board.yaml").write_text(yaml.safe_dump(DEVICE))
    first = run_study(bench.study("first", store=shared_store, budget={"trials": 5})).record
    known = qualities(first)
    assert len(known) >= 2

    changes = {"profile": "board.yaml", "constraints": ["size <= 1 MB"], "budget": {"trials": 3}}
    second = bench.study("second", store=shared_store, **changes)
    before = contents(bench.root / "runs")
    earlier = earlier_results(load_job(second))
    assert contents(bench.root / "runs") == before
    assert earlier.studies == ("first",)
    assert earlier.skipped == ()
    assert {result.candidate: result.quality for result in earlier.results} == known
    assert remark(earlier).startswith(f"{len(known)} results of first of the same workload")

    again = qualities(run_study(second).record)
    both = known.keys() & again.keys()
    assert both, "the uncompressed teacher is a part of every study"
    assert {c: again[c] for c in both} == {c: known[c] for c in both}
    assert earlier_results(load_job(second)).studies == ("first",)
    assert earlier_results(load_job(bench.study("first"))).studies == ("second",)


def test_a_run_that_was_moved_away_is_found_by_its_directory(bench, shared_store, tmp_path_factory):
    record = run_study(bench.study("moved", store=shared_store, budget={"trials": 3})).record
    away = tmp_path_factory.mktemp("away") / "copy"
    shutil.move(bench.root / "runs" / "moved", away)
    job = load_job(bench.study("later", store=shared_store))
    assert earlier_results(job).results == ()
    found = earlier_results(job, (str(away),))
    assert {result.candidate: result.quality for result in found.results} == qualities(record)
    assert {result.same_instructions for result in found.results} == {True}
