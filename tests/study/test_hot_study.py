"""A study whose finalists are kept at work for minutes: the order changes, and the recommendation with it."""

import shutil
from pathlib import Path

import pytest
from paretune.search.run.stored import open_run
from paretune.search.store.store import Store

pytestmark = pytest.mark.slow


def test_the_recommendation_goes_by_hot_numbers_and_what_was_done_is_not_done_again(bench):
    shutil.copy(Path(__file__).with_name("hot_toy.py"), bench.root)
    more = {
        "space": {"student": {"width": [4, 16]}, "precision": ["fp32"], "backend": ["hot_toy:HotToy"]},
        "training": {"epochs": 20, "learning_rate": 0.01, "batch": 16},
        "objectives": ["accuracy", "latency"],
        "budget": {"trials": 3},
        "sustained": "10 min",
    }
    study = bench.study("hot", **more)
    done = bench.run("run", study)
    assert done.returncode == 0, done.stderr
    assert "order changes" in done.stdout
    record, _ = open_run(study)
    titles = {t.number: t.evaluation.candidate.title for t in record.trials}
    kept = {titles[one.number].split(",")[0]: one.deployed.sustained for one in record.finalists}
    small, large = kept["width=4"], kept["width=16"]
    assert len(small.minutes) == 10
    assert small.cold["latency_ms"].value < large.cold["latency_ms"].value
    assert small.hot["latency_ms"].value > 2 * large.hot["latency_ms"].value
    page = (bench.root / "runs" / "hot" / "report" / "report.html").read_text()
    assert "plot-sustained" in page
    store = Store(bench.root / ".paretune" / "store")
    entries = {entry.key for entry in store.latest("sustained")}
    assert len(entries) == len(record.finalists)
    again = bench.run("run", bench.study("hot-again", **more))
    assert again.returncode == 0, again.stderr
    assert {entry.key for entry in store.latest("sustained")} == entries
