"""An artifact that the store lost is made again from the study file, or it is said why it cannot be."""

import json
import shutil
from pathlib import Path

import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import Outcome
from paretune.search.record.progress import Progress
from paretune.search.run.restore import with_artifact
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run
from paretune.search.store.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def lost(bench):
    """A finished study without its store, and the number of a student that was complete."""
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}
    study = bench.study(space=space, budget={"trials": 2}, finalists=1)
    record = run_study(study).record
    number = next(
        t.number
        for t in record.trials
        if t.evaluation.outcome is Outcome.COMPLETE and not t.evaluation.candidate.is_teacher
    )
    shutil.rmtree(record.store)
    return study, bench.root / "runs" / "blobs", number


def test_it_is_made_again_under_the_same_key(lost):
    study, run_dir, number = lost
    for path in (study, run_dir):
        record = with_artifact(path, open_run(path)[0], number, Progress())
        key = record.trials[number].evaluation.artifact_key
        assert Store(Path(record.store)).get("compile", key) is not None


def test_a_run_without_its_study_file_asks_for_it(lost):
    _, run_dir, number = lost
    plain = json.loads((run_dir / "run.json").read_text())
    (run_dir / "run.json").write_text(
        json.dumps({**plain, "study_file": "/nowhere/study.yaml", "study_file_from_here": "no.yaml"})
    )
    with pytest.raises(UserError, match=r"study file is gone[\s\S]*name the study file"):
        with_artifact(run_dir, open_run(run_dir)[0], number, Progress())


def test_a_changed_workload_is_named(lost, bench):
    study, run_dir, number = lost
    text = (bench.root / "blobs.py").read_text()
    (bench.root / "blobs.py").write_text(text.replace("range(60)", "range(61)"))
    with pytest.raises(UserError, match="something that it depends on has changed"):
        with_artifact(study, open_run(run_dir)[0], number, Progress())
