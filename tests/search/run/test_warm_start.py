"""Which earlier studies count as a start, and that reading them leaves them as they were."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from paretune.backends.measure.environment import instruction_sets
from paretune.profiles.precision import Precision
from paretune.search.job.job import Job, load_job
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity, StudyRecord
from paretune.search.run.warm_start import EarlierResult, EarlierResults, earlier_results, remark
from paretune.search.storage.study_store import StudyStore

WORKLOAD = """
import numpy as np
from paretune import Split, Splits, Workload


def build(shift=0.0, other_data=False):
    def split(seed):
        x = np.random.default_rng(seed + 10 * other_data).normal(size=(12, 4)).astype(np.float32)
        return Split(inputs={"x": x}, labels=np.arange(12) % 3)

    def splits():
        names = ("train", "calibration", "validation", "test")
        return Splits(**{name: split(seed) for seed, name in enumerate(names)})

    return Workload(name="tiny", splits=splits, teacher=lambda: None, student=lambda width: None)
"""
DATA_FILE = "\nimport pathlib\nROWS = int(pathlib.Path(__file__).with_name('rows.txt').read_text())\n"
STUDENT = (("width", 8),)


class Bench:
    """Study files of one workload in a directory, and studies of them as a run leaves them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        text = WORKLOAD.replace("(12, 4)", "(ROWS, 4)").replace("arange(12)", "arange(ROWS)")
        (root / "tiny.py").write_text(DATA_FILE + text)
        (root / "rows.txt").write_text("12")

    def job(self, name: str, **changes: Any) -> Job:
        """A job, from a study file of that name."""
        plain: dict[str, Any] = {
            "name": name,
            "workload": {"file": "tiny.py:build"},
            "space": {"student": {"width": [4, 8, 16]}, "backend": ["toy"], "precision": ["fp32", "int8"]},
            "budget": {"trials": 5},
            **changes,
        }
        path = self.root / f"{name}.yaml"
        path.write_text(yaml.safe_dump(plain))
        return load_job(path)

    def earlier(self, name: str, *evaluations: Evaluation, **changes: Any) -> Job:
        """A job whose study has these evaluations."""
        job = self.job(name, **changes)
        tell(job, *evaluations or (complete(job, 8, 0.9),))
        return job


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def candidate(job: Job, width: int, precision: Precision = Precision.FP32) -> Candidate:
    recipe = next(c.recipe for c in job.space.trainings() if c.student)
    return Candidate(backend="toy", precision=precision, student=(("width", width),), recipe=recipe)


def complete(job: Job, width: int, quality: float, precision: Precision = Precision.FP32) -> Evaluation:
    values = {job.quality: quality, "latency_ms": 1.0, "size_bytes": 1e3}
    metrics = {name: Quantity(value=value) for name, value in values.items()}
    return Evaluation(candidate=candidate(job, width, precision), outcome=Outcome.COMPLETE, metrics=metrics)


@cache
def empty_storage() -> bytes:
    """A storage without studies, whose tables take long to make."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "study.db"
        optuna.storages.RDBStorage(f"sqlite:///{file}").engine.dispose()
        return file.read_bytes()


def study_of(job: Job) -> StudyStore:
    job.places.run_dir.mkdir(parents=True, exist_ok=True)
    file = job.places.storage.file
    if file is not None and not file.exists():
        file.write_bytes(empty_storage())
    objectives = {objective.metric: objective.higher_is_better for objective in job.objectives}
    return StudyStore.create_or_resume(
        url=job.places.storage,
        name=job.file.name,
        problem=job.problem(),
        objectives=objectives,
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


def tell(job: Job, *evaluations: Evaluation) -> StudyStore:
    studies = study_of(job)
    for evaluation in evaluations:
        studies.tell(studies.study.ask(), evaluation, time.time())
    plain = {"name": job.file.name, "storage": job.places.storage.kept if job.file.storage else ""}
    (job.places.run_dir / "run.json").write_text(json.dumps(plain))
    studies.close()
    return studies


def state_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of every file, by its path; directories by their time alone. What SQLite's
    readers and writers tell each other about where they are (`-shm`) is left out."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted([directory, *directory.rglob("*")])
        if not path.name.endswith("-shm")
    }


def test_the_problem_is_that_of_versions_with_more_choices(bench: Bench) -> None:
    space = bench.job("new").problem()["space"]
    assert space["order"] == ["prune-distill-quantize"]
    assert space["distill"]["hidden"] == [0.0]
    assert space["distill"]["weight"] == [0.7]  # training without the teacher is no other problem


def test_another_device_other_limits_and_another_seed_are_no_obstacle(bench: Bench) -> None:
    bench.earlier("old", profile="x86-avx2", constraints=["latency <= 5 ms"], seed=3)
    earlier = earlier_results(bench.job("new", profile="raspberry-pi-5"))
    assert earlier.studies == ("old",)
    assert earlier.skipped == ()
    (result,) = earlier.results
    assert (result.candidate.student, result.quality) == (STUDENT, 0.9)
    assert result.candidate not in bench.job("new").space  # another seed is another training
    assert not result.same_instructions


def test_the_rest_of_the_settings_may_differ_and_the_candidate_is_the_same(bench: Bench) -> None:
    old = bench.earlier("old", objectives=["accuracy", "latency"], deploy={"batch": 4})
    new = bench.job("new", profile="x86-avx2")
    expected = EarlierResult(candidate=candidate(old, 8), quality=0.9, same_instructions=False)
    assert earlier_results(new).results == (expected,)
    assert earlier_results(bench.job("same")).results[0].same_instructions


def test_what_this_space_does_not_offer_is_kept_and_marked(bench: Bench) -> None:
    old = bench.job("old", space={"student": {"width": [4, 6]}, "backend": ["toy"]})
    tell(old, complete(old, 4, 0.7), complete(old, 6, 0.8), complete(old, 4, 0.6, Precision.INT4_WEIGHT))
    earlier = earlier_results(bench.job("new"))
    assert [r.quality for r in earlier.results] == [0.7, 0.8, 0.6]


def test_an_axis_of_words_is_outside_a_space_of_numbers(bench: Bench) -> None:
    old = bench.job("old", space={"student": {"width": ["narrow", "wide"]}, "backend": ["toy"]})
    tell(old, complete(old, "wide", 0.8))  # type: ignore[arg-type]
    earlier = earlier_results(bench.job("new"))
    assert len(earlier.results) == 1
    assert earlier.skipped == ()


def test_only_complete_trials_count_and_each_once(bench: Bench) -> None:
    job = bench.job("old")
    done = complete(job, 4, 0.7)
    gated = Evaluation(candidate=candidate(job, 8), outcome=Outcome.GATED, metrics=dict(done.metrics))
    failed = Evaluation(candidate=candidate(job, 16), outcome=Outcome.FAILED, stage="compile")
    studies = tell(job, done, gated, failed)
    studies.tell_duplicate(studies.study.ask(), studies.records()[0], time.time())
    studies.study.ask()  # still running
    assert len(studies.records()) == 4
    assert [result.quality for result in earlier_results(bench.job("new")).results] == [0.7]


@pytest.mark.parametrize(
    "changes",
    [
        {"workload": {"file": "tiny.py:build", "options": {"shift": 1.0}}},
        {"workload": {"file": "tiny.py:build", "options": {"other_data": True}}},
        {"training": {"epochs": 3}},
        {"training": {"learning_rate": 0.1}},
    ],
)
def test_another_workload_or_other_training_settings_contribute_nothing(
    bench: Bench, changes: dict[str, Any]
) -> None:
    bench.earlier("old", **changes)
    assert earlier_results(bench.job("new")) == EarlierResults()
    named = earlier_results(bench.job("new"), ("runs/old",))
    assert named.results == ()
    assert named.skipped[0].startswith("the earlier study in runs/old was not read: it differs in ")


def test_other_data_under_the_same_workload_file_contribute_nothing(bench: Bench) -> None:
    bench.earlier("old")
    (bench.root / "rows.txt").write_text("15")
    new = bench.job("new")
    assert earlier_results(new) == EarlierResults()
    assert earlier_results(new, ("runs/old",)).skipped == (
        "the earlier study in runs/old was not read: it differs in data",
    )


def test_threads_of_training_change_nothing(bench: Bench) -> None:
    bench.earlier("old", training={"threads": 2})
    assert len(earlier_results(bench.job("new")).results) == 1


def test_the_own_run_and_a_second_way_to_a_study_are_left_out(bench: Bench) -> None:
    shared = "sqlite:///all.db"
    new = bench.earlier("new", storage=shared)
    bench.earlier("old", storage=shared)
    again = bench.root / "runs" / "again"
    again.mkdir()
    (again / "run.json").write_text((bench.root / "runs" / "old" / "run.json").read_text())
    earlier = earlier_results(new)
    assert earlier.studies == ("old",)
    assert len(earlier.results) == 1
    assert earlier_results(new, ("new.yaml", "runs/new")) == EarlierResults()


def test_named_places_are_read_alone(bench: Bench, tmp_path: Path) -> None:
    bench.earlier("one")
    bench.earlier("two", runs="elsewhere")
    bench.earlier("three")
    new = bench.job("new")
    assert earlier_results(new).studies == ("one", "three")
    assert earlier_results(new, ("elsewhere/two", "three.yaml")).studies == ("two", "three")
    assert earlier_results(new, (str(tmp_path / "runs" / "one"),)).studies == ("one",)
    assert earlier_results(new, ()) == EarlierResults()
    assert earlier_results(new, False) == EarlierResults()


def test_named_places_with_nothing_to_read_are_told(bench: Bench) -> None:
    bench.job("never")
    (bench.root / "empty").mkdir()
    skipped = earlier_results(bench.job("new"), ("gone", "empty", "never.yaml", "tiny.py")).skipped
    assert skipped[0] == "the earlier study in gone was not read: nothing is there"
    assert skipped[1] == "the earlier study in empty was not read: no run here"
    assert skipped[2] == "the earlier study in never.yaml was not read: the study's storage is gone"
    assert skipped[3].startswith("the earlier study in tiny.py was not read: ")
    assert not (bench.root / "runs").exists()


def test_broken_runs_are_skipped_and_the_sound_one_is_read(bench: Bench) -> None:
    good = bench.earlier("good")
    whole = (good.places.run_dir / "study.db").read_bytes()
    damaged = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "noise": b"no database at all" * 100,
    }
    for name, content in damaged.items():
        run = bench.root / "runs" / name
        run.mkdir()
        (run / "run.json").write_text(json.dumps({"name": "good", "storage": ""}))
        (run / "study.db").write_bytes(content)
    for name, text in {"json": "{", "list": "[]", "other": '{"name": "x", "storage": ""}'}.items():
        run = bench.root / "runs" / name
        run.mkdir()
        (run / "run.json").write_text(text)
    (bench.root / "runs" / "other" / "study.db").write_bytes(whole)
    before = state_of(bench.root / "runs")
    earlier = earlier_results(bench.job("new"))
    assert earlier.studies == ("good",)
    told = "\n".join(earlier.skipped)
    assert len(earlier.skipped) == 6, told
    assert "runs/cut was not read: the study's storage cannot be opened, the file is damaged" in told
    assert "runs/empty was not read: no study is in it" in told
    assert "runs/noise was not read: the study's storage cannot be opened, the file is damaged, or no" in told
    assert "runs/json was not read: the run's own file cannot be read, Expecting" in told
    assert "runs/list was not read: the run's own file cannot be read, JSON, but list" in told
    assert "runs/other was not read: no study 'x' in it" in told
    assert state_of(bench.root / "runs") == before


def test_a_record_of_an_unknown_form_is_left_out_and_the_others_count(bench: Bench) -> None:
    old = bench.earlier("old")
    whole = earlier_results(bench.job("new")).results
    assert whole
    study = study_of(old).study
    trial = study.ask()
    trial.set_user_attr("evaluation", '{"candidate": 5}')
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    earlier = earlier_results(bench.job("new"))
    assert earlier.results == whole
    assert earlier.skipped == ()


@pytest.mark.parametrize("form", ["delete", "wal"])
def test_nothing_is_made_or_changed_where_others_keep_their_studies(bench: Bench, form: str) -> None:
    old = bench.earlier("old")
    connection = sqlite3.connect(old.places.run_dir / "study.db")
    connection.execute(f"PRAGMA journal_mode={form}")
    connection.close()
    strange = (bench.root / "runs").rename(bench.root / "a b%20{c}#")
    before = state_of(strange)
    earlier = earlier_results(bench.job("new"), (f"{strange.name}/old",))
    assert earlier.skipped == ()
    assert earlier.studies == ("old",)
    assert state_of(strange) == before


def test_a_study_that_cannot_be_written_can_be_read(bench: Bench) -> None:
    old = bench.earlier("old")
    (old.places.run_dir / "study.db").chmod(0o444)
    old.places.run_dir.chmod(0o555)
    try:
        assert earlier_results(bench.job("new")).studies == ("old",)
    finally:
        old.places.run_dir.chmod(0o755)


def test_a_study_that_another_process_holds_is_skipped(bench: Bench) -> None:
    old = bench.earlier("old")
    with closing(sqlite3.connect(old.places.run_dir / "study.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("CREATE TABLE extra (x)")
        before = state_of(old.places.run_dir)
        earlier = earlier_results(bench.job("new"))
        assert earlier.results == ()
        assert "another process holds the file" in earlier.skipped[0]
        assert state_of(old.places.run_dir) == before


def test_a_study_that_is_being_run_is_read_as_of_this_moment(bench: Bench) -> None:
    old = bench.earlier("old")
    with closing(study_of(old)) as running:
        running.tell(running.study.ask(), complete(old, 4, 0.7), time.time())
        with running.together():
            running.set("half", "written")
            before = state_of(old.places.run_dir)
            assert "study.db-wal" in {Path(name).name for name in before}
            earlier = earlier_results(bench.job("new"))
            assert earlier.skipped == ()
            assert sorted(result.quality for result in earlier.results) == [0.7, 0.9]
            assert state_of(old.places.run_dir) == before


KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=2")
connection.execute("BEGIN")
connection.execute("CREATE TABLE extra (x)")
connection.executemany("INSERT INTO extra VALUES (?)", [("x" * 3000,)] * 200)
os.kill(os.getpid(), 9)
"""


def test_a_study_whose_run_was_killed_while_it_wrote_is_left_to_that_study(bench: Bench) -> None:
    old = bench.earlier("old")
    file = old.places.run_dir / "study.db"
    assert subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False).returncode == -9
    before = state_of(old.places.run_dir)
    assert (old.places.run_dir / "study.db-journal").stat().st_size > 0
    (sentence,) = earlier_results(bench.job("new")).skipped
    assert sentence == (
        "the earlier study in runs/old was not read: a process was killed while it wrote to it, which only "
        "a run of that study can mend"
    )
    assert state_of(old.places.run_dir) == before


def test_servers_are_asked_only_where_they_are_named(bench: Bench) -> None:
    run = bench.root / "runs" / "far"
    run.mkdir(parents=True)
    url = "postgresql+psycopg2://me:secret@127.0.0.1:1/studies"
    (run / "run.json").write_text(json.dumps({"name": "far", "storage": url}))
    new = bench.job("new")
    assert earlier_results(new).skipped == (
        "the earlier study in runs/far was not read: its storage is a server, which is asked only where "
        "`warm_start` in the study file names it",
    )
    (asked,) = earlier_results(new, ("runs/far",)).skipped
    assert "refused" in asked
    assert "secret" not in asked


def local(bench: Bench, name: str, model: str) -> Job:
    """A job for this machine under a name of its own, as a profile file describes it."""
    cpu: dict[str, Any] = {"model": model, "architecture": "x86-64", "cores": 1, "threads": 1}
    cpu |= {"instruction_sets": [], "source": "made up", "memory_bytes": {"value": 1e9, "source": "made up"}}
    plain = {"name": name, "title": name, "cpu": cpu, "reach": {"kind": "local"}}
    (bench.root / f"{name}.profile.yaml").write_text(yaml.safe_dump(plain))
    return bench.job(name, profile=f"{name}.profile.yaml")


@pytest.mark.parametrize(
    ("there", "same"), [(list(instruction_sets()), True), (["avx"], False), ([], False), (None, False)]
)
def test_instruction_sets_are_compared_where_they_are_known(
    bench: Bench, there: list[str] | None, same: bool
) -> None:
    old, new = local(bench, "old", "a"), local(bench, "new", "b")
    assert old.problem()["device"] != new.problem()["device"]
    studies = tell(old, complete(old, 8, 0.9))
    if there is not None:
        frame = StudyRecord(
            name="old",
            study_text="",
            workload="tiny",
            profile="old",
            quality=old.quality,
            objectives=old.objectives,
            limits=(),
            trials=(),
            environment={"instructions": there},
        )
        studies.save_frame(frame)
    (result,) = earlier_results(new).results
    assert result.same_instructions is same


def results(count: int, *studies: str) -> EarlierResults:
    one = EarlierResult(
        candidate=Candidate(backend="toy", precision=Precision.FP32),
        quality=0.5,
        same_instructions=True,
    )
    return EarlierResults(results=(one,) * count, studies=studies)


def test_the_remark_is_one_sentence() -> None:
    taken = "of the same workload and data"
    assert remark(EarlierResults(skipped=("x",))) == ""
    assert remark(results(1, "a")) == f"1 result of a {taken} was taken as a start"
    assert remark(results(37, "a", "b")) == f"37 results of a and b {taken} were taken as a start"
    assert remark(results(9, *"abcd")).startswith("9 results of a, b, c and d of")
    assert remark(results(9, *"abcde")).startswith("9 results of a, b, c and 2 more of")
    assert remark(results(2, "a", "a")).startswith("2 results of a of")
