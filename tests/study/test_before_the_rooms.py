"""A study and its store that were made before the code was laid out in rooms: nothing stored is lost.

`before/points.tar.xz` holds a finished study of clouds of points on ONNX Runtime and LiteRT, with an audit
and its store, and what `paretune report` and `paretune choose` had written then.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from paretune.search.record.evaluation import Outcome
from paretune.search.run.stored import open_run
from study.conftest import run_here

pytestmark = pytest.mark.slow

PACKED = Path(__file__).parent / "before" / "points.tar.xz"
SHORT = {"finalists": 1, "measure": {"rounds": 9, "finalist_rounds": 9, "processes": 1}}


def paretune(folder: Path, *arguments: object) -> str:
    done = run_here(folder, *arguments)
    assert done.returncode in (0, 2), done.stdout + done.stderr
    return done.stdout


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def unpacked(folder: Path) -> Path:
    with tarfile.open(PACKED) as packed:
        packed.extractall(folder, filter="data")
    return folder / "points.yaml"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """As it was, with a report of today's beside that of then."""
    study = unpacked(tmp_path_factory.mktemp("points"))
    paretune(study.parent, "report", study)
    return study


def test_every_record_is_read_and_keeps_its_digest(study):
    record, _ = open_run(study)
    golden = rows(study.parent / "golden" / "trials.csv")
    assert [(t.number, t.evaluation.candidate.digest) for t in record.trials] == [
        (int(row["trial"]), row["digest"]) for row in golden
    ]
    assert [t.evaluation.outcome.value for t in record.trials] == [row["outcome"] for row in golden]
    assert record.finalists
    assert record.audit


def test_the_report_says_what_it_said(study):
    then = rows(study.parent / "golden" / "trials.csv")
    now = rows(study.parent / "runs" / "points" / "report" / "trials.csv")
    shared = [name for name in then[0] if name in now[0]]
    assert len(shared) > 100
    assert [{name: row[name] for name in shared} for row in now] == [
        {name: row[name] for name in shared} for row in then
    ]


def test_another_question_gets_the_answer_it_got(study):
    then = (study.parent / "golden" / "choose.txt").read_text()
    now = paretune(study.parent, "choose", study, "--where", "size <= 2 kB", "--prefer", "latency=2")
    assert now.splitlines()[0] == then.splitlines()[0]
    assert re.findall(r"^ *\d+  #\d+", now, re.M) == re.findall(r"^ *\d+  #\d+", then, re.M)


def test_its_artifacts_are_exported_and_run(study, tmp_path):
    record, _ = open_run(study)
    report = study.parent / "runs" / "points" / "report" / "report.json"
    best = json.loads(report.read_text())["verdict"]["recommended"]
    for number in (best, next(t.number for t in record.trials if t.evaluation.outcome is Outcome.COMPLETE)):
        bundle = tmp_path / f"bundle{number}"
        paretune(study.parent, "export", study, number, "-o", bundle)
        subprocess.run([sys.executable, "run.py", "-o", "out.npz"], cwd=bundle, check=True, timeout=500)


def test_it_goes_on_where_it_stood_with_what_was_made(tmp_path):
    """Keys cover versions of tools, so the store answers where these are the same as then."""
    study = unpacked(tmp_path)
    before, _ = open_run(study)
    plain = yaml.safe_load(study.read_text())
    study.write_text(yaml.safe_dump({**plain, **SHORT, "budget": {"trials": plain["budget"]["trials"] + 1}}))
    store = study.parent / ".paretune" / "store"
    kept = {path.name for stage in ("teacher", "distill") for path in (store / stage).iterdir()}
    assert kept
    paretune(study.parent, "run", study)
    after, _ = open_run(study)
    assert after.trials[: len(before.trials)] == before.trials
    added = after.trials[len(before.trials) :]
    assert added
    assert all(trial.duplicate_of is None for trial in added)
    versions = before.environment["packages"]
    if all(metadata.version(name) == version for name, version in versions.items() if name != "paretune"):
        known = {stage.key for trial in before.trials for stage in trial.evaluation.stages}
        again = [stage for trial in added for stage in trial.evaluation.stages if stage.key in known]
        assert again
        assert all(stage.cached for stage in again)
        made = {path.name for stage in ("teacher", "distill") for path in (store / stage).iterdir()}
        trained = {
            stage.key for trial in added for stage in trial.evaluation.stages if stage.name == "distill"
        }
        assert made - kept <= trained - known
