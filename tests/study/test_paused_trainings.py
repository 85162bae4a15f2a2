"""Trainings of a real study that are paused and gone on with, also over a kill in the middle."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.record.training import went_on
from paretune.search.run.session import run_study
from paretune.search.sampler import milestones, survey
from paretune.search.stages.models.networks import WEIGHTS

pytestmark = pytest.mark.slow
TESTS = str(Path(__file__).resolve().parents[1])

SPACE = {
    "student": {"width": [4, 8, 12, 16, 20]},
    "precision": ["fp32"],
    "backend": ["toy"],
    "distill": {"weight": [0.7]},
}
TRAINING = {"epochs": 8, "finetune_epochs": 1, "learning_rate": 0.01, "batch": 16}
CHANGES = {"space": SPACE, "training": TRAINING, "budget": {"trials": 6}, "stop": "never", "finalists": 1}
PAUSING = """
from paretune.cli import main
from paretune.search.sampler import milestones, survey
milestones.STAY, survey.MEASURED_FIRST = 0.0, 0.0  # all are measured, cheap as trainings are
main()
"""


def paused_trials(root):
    """How many trials have been told as paused."""
    (database,) = root.glob("runs/*/study.db")
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute("select value_json from trial_user_attributes").fetchall()
    return sum(bool(re.search(r'paused\\*": ?true', text)) for (text,) in rows)


def killed_while_paused(bench, study):
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSING, "run", str(study)],
        cwd=bench.root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": TESTS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        try:
            if paused_trials(bench.root) >= 2:
                break
        except (ValueError, sqlite3.Error):  # the study has not begun
            pass
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def weights(bench, store):
    return {
        path.parent.name: path.read_bytes() for path in (bench.root / store / "distill").glob(f"*/{WEIGHTS}")
    }


def test_a_kill_while_trainings_stand_loses_none_and_parts_come_to_the_same_bits(bench, monkeypatch):
    study = bench.study(store="parts", **CHANGES)
    killed_while_paused(bench, study)
    before = {path.name for path in (bench.root / "parts" / ".work").glob("distill.*")}
    assert before
    monkeypatch.setattr(milestones, "STAY", 0.0)
    monkeypatch.setattr(survey, "MEASURED_FIRST", 0.0)
    record = run_study(study).record
    later = went_on(record)
    assert later
    parts = Counter(t.evaluation.candidate.digest for t in record.trials if t.duplicate_of is None)
    assert max(parts.values()) > 1
    counters = record.counters
    assert counters["candidates"] == len(parts)
    assert counters["duplicates"] == sum(t.duplicate_of is not None for t in record.trials)
    students = [t.evaluation for t in record.trials if t.evaluation.candidate.student]
    ended = {e.stages[-1].key for e in students if e.outcome is Outcome.COMPLETE}
    assert len(ended) >= 1
    # A candidate that is wanted again may be gated by then, without any training.
    again = [s for n in later.values() for s in record.trials[n].evaluation.stages if s.name == "distill"]
    assert again
    assert all(stage.curve[0][0] == 2 for stage in again)  # the curve of all its parts

    whole = {**CHANGES, "gate": {"during_training": False}}
    run_study(bench.study("whole", store="whole", **whole))
    in_parts, at_once = weights(bench, "parts"), weights(bench, "whole")
    both = in_parts.keys() & at_once.keys()
    assert both
    assert all(in_parts[key] == at_once[key] for key in both)
