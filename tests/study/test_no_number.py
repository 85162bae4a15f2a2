"""A number that is none ends one candidate, by name; studies that an older version broke are opened."""

import json
import sqlite3
from contextlib import closing

import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow

OWN = """
from dataclasses import replace
import numpy as np
from paretune.backends.contract import of_batch
from paretune.profiles.precision import Precision
from paretune_toy import ToyBackend, ToySession

class Own(ToyBackend):
    def precisions(self, profile):
        return (Precision.FP32,)

    def changed(self, array):
        return array

    def open(self, artifact, batch, threads):
        session = of_batch(ToySession(artifact), batch)
        plain, changed = session._run, self.changed
        session._run = lambda feed: {name: changed(array) for name, array in plain(feed).items()}
        return session

class Doubled(Own):
    def changed(self, array):
        return np.repeat(array, 2, axis=0)

class Narrow(Own):
    def changed(self, array):
        return array[:, :2]

class Whole(Own):
    def changed(self, array):
        return array.astype(np.int64)

class NotFinite(Own):
    def changed(self, array):
        return np.where(array > array.mean(), np.nan, array)

class Weightless(Own):
    def compile(self, *arguments):
        return replace(super().compile(*arguments), size_bytes=float("nan"))

class Half(Own):
    def changed(self, array):
        return array.astype(np.float16)
"""
CAUSES = {
    "Doubled": "2 rows for 1 samples",
    "Narrow": "float[2] for a sample, the float model's float[3]",
    "Whole": "integer[3] for a sample, the float model's float[3]",
    "NotFinite": "not finite",
    "Weightless": "size_bytes is nan",
}


def test_what_a_backend_gives_is_checked_against_the_float_model(bench):
    (bench.root / "own.py").write_text(OWN)
    names = [*CAUSES, "Half"]
    space = {"precision": ["fp32"], "backend": ["toy", *(f"own:{name}" for name in names)]}
    run_study(bench.study(space=space, budget={"trials": 9}, finalists=1))
    record = open_run(bench.root / "blobs.yaml")[0]
    found = {t.evaluation.candidate.backend.removeprefix("own:"): t.evaluation for t in record.trials}
    assert set(found) == {"toy", *names}
    for name, cause in CAUSES.items():
        assert found[name].outcome is Outcome.FAILED, name
        assert cause in found[name].cause
    assert {found["toy"].outcome, found["Half"].outcome} == {Outcome.COMPLETE}, "narrower floats will do"


def test_a_study_that_holds_broken_trials_is_opened_and_goes_on(bench, shared_store):
    study = bench.study(store=shared_store, budget={"trials": 3}, finalists=1)
    run_study(study)
    damaged, lost = [t.number for t in open_run(study)[0].trials if t.duplicate_of is None][1:3]
    with closing(sqlite3.connect(bench.root / "runs" / "blobs" / "study.db")) as base, base:
        plain = json.loads(kept_by(base, damaged))
        plain["stages"] = [{**plain["stages"][0], "curve": [[1, None]]}]  # as a NaN was once written
        keep(base, damaged, json.dumps(plain))
        keep(base, lost, kept_by(base, lost)[:300])

    broken = {t.number: t.evaluation for t in open_run(study)[0].trials}
    for number in (damaged, lost):
        assert broken[number].outcome is Outcome.FAILED
        assert f"trial {number} holds a record that cannot be read" in broken[number].cause
    for command in (["report", study], ["choose", study, "--prefer", "latency=2"], ["explain", study, lost]):
        done = bench.run(*command)
        assert done.returncode in (0, 2), done.stderr
    record = run_study(study).record
    assert record.counters["complete"] == 3, "what was lost is evaluated anew"
    assert record.counters["failed"] == 0


OF_TRIAL = "key = 'evaluation' AND trial_id = (SELECT trial_id FROM trials WHERE number = ?)"


def kept_by(base, number):
    (text,) = base.execute(
        f"SELECT value_json FROM trial_user_attributes WHERE {OF_TRIAL}", (number,)
    ).fetchone()
    return json.loads(text)


def keep(base, number, text):
    base.execute(
        f"UPDATE trial_user_attributes SET value_json = ? WHERE {OF_TRIAL}", (json.dumps(text), number)
    )
