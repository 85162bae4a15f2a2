"""Storages that are damaged, of another version, or something else: one message that says what is wrong."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity, StudyRecord
from paretune.search.run.stored import record_of
from paretune.search.storage.same_problem import evaluated_before
from paretune.search.storage.storage import open_storage, storage_trouble_explained
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.trouble import MEND_DAMAGE, trouble
from paretune.search.storage.url import StorageUrl
from sqlalchemy import event

FRAME = StudyRecord(
    name="s",
    study_text="",
    workload="w",
    profile="p",
    quality="accuracy",
    objectives=(),
    limits=(),
    trials=(),
)


def opened(file: Path) -> StudyStore:
    return StudyStore.create_or_resume(
        url=StorageUrl.of_file(file),
        name="s",
        problem={},
        objectives={"accuracy": True, "size_bytes": False},
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A study of three trials."""
    file = tmp_path_factory.mktemp("whole") / "study.db"
    with closing(opened(file)) as studies:
        for width in range(3):
            candidate = Candidate(backend="ort", precision=Precision.FP32, student=(("width", width),))
            metrics = {"accuracy": Quantity(value=0.5), "size_bytes": Quantity(value=1000.0)}
            evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics)
            studies.tell(studies.study.ask(), evaluation, time.time())
        studies.save_frame(FRAME)
    return file.read_bytes()


@pytest.fixture
def file(whole: bytes, tmp_path: Path) -> Path:
    (tmp_path / "study.db").write_bytes(whole)
    return tmp_path / "study.db"


def told_by(act: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        act()
    return caught.value.found + caught.value.problem


def changed(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def attribute(key: str, text: str) -> str:
    return f"UPDATE trial_user_attributes SET value_json='{text}' WHERE key='{key}' AND trial_id=2"


def replaced(old: str, new: str) -> str:
    return (
        f"UPDATE trial_user_attributes SET value_json=replace(value_json, '{old}', '{new}') WHERE trial_id=2"
    )


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (attribute("evaluation", "{nope"), "trial 1: 'evaluation'"),
        (attribute("started", "1 2"), "trial 1: 'started'"),
        ("UPDATE trials SET state='LOST' WHERE trial_id=2", "LOST"),
        ("UPDATE trials SET datetime_start='noon' WHERE trial_id=2", "noon"),
        ("UPDATE trials SET number=2 WHERE trial_id=2", "2 trials have the number 2"),
        ("UPDATE trials SET number=NULL WHERE trial_id=2", "number None"),
        ("DELETE FROM trial_values WHERE trial_id=2 AND objective=0", "IndexError"),
        ("DROP TABLE trial_values", "trial_values"),
        ("DROP TABLE version_info", "version_info"),
        ("ALTER TABLE trials RENAME COLUMN number TO count", "trials.number"),
        ("UPDATE alembic_version SET version_num='v9.9.9'", "another version of Optuna"),
        ("UPDATE alembic_version SET version_num='v2.6.0.a'", "another version of Optuna"),
        ("UPDATE studies SET study_name='t'", "no study 's'"),
        ("UPDATE study_user_attributes SET value_json='7' WHERE key='record'", "cannot be read"),
    ],
)
def test_what_is_damaged_in_a_database_is_named(file: Path, statement: str, named: str) -> None:
    changed(file, statement)
    assert named in told_by(lambda: record_of(StorageUrl.of_file(file), "s"))


@pytest.mark.parametrize(
    "statement",
    [
        attribute("evaluation", '"{}"'),
        attribute("evaluation", "5"),
        replaced("dense", "denser"),
        replaced(":0.5", ":NaN"),
        replaced(":0.5", ":33.3"),
        replaced(":1000.0", ":-1"),
        replaced("size_bytes", "sizes"),
    ],
)
def test_a_trial_that_cannot_be_is_a_failed_one_and_the_others_count(file: Path, statement: str) -> None:
    changed(file, statement)
    trials = record_of(StorageUrl.of_file(file), "s").trials
    assert [trial.evaluation.outcome for trial in trials] == [
        Outcome.COMPLETE, Outcome.FAILED, Outcome.COMPLETE,
    ]  # fmt: skip
    assert trials[1].evaluation.cause


@pytest.mark.parametrize("value", ["5", '"x"', "[1]", '{"a": 1}', "NaN", "1e999", "-7", "null", '"[1]"'])
def test_other_attributes_may_hold_anything(file: Path, value: str) -> None:
    added = "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (2, 'duplicate_of', '{}')"
    keys = ("ended", "problem", "spent_seconds")
    study = "INSERT OR REPLACE INTO study_user_attributes (study_id, key, value_json) VALUES (1, '{}', '{}')"
    names = "UPDATE study_system_attributes SET value_json='{}' WHERE key='study:metric_names'"
    changed(file, added.format(value), attribute("started", value), attribute("seconds", value))
    changed(file, names.format(value), *(study.format(key, value) for key in keys))
    assert len(record_of(StorageUrl.of_file(file), "s").trials) == 3
    with closing(StudyStore.load(StorageUrl.of_file(file), "s")) as studies:
        assert studies.number("spent_seconds") == (5.0 if value == "5" else 0.0)
        assert studies.mapping("ended") == {}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:6000])


def log_alone(file: Path) -> None:
    file.rename(f"{file}-wal")


def piped(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def circle(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (cut, "damaged"),
        (lambda file: file.write_bytes(b"no database at all" * 100), "damaged, or no database"),
        (lambda file: file.write_bytes(b""), "no study is in it"),
        (log_alone, "log lies there alone"),
        (piped, "no regular file"),
        (folder, "a directory"),
        (circle, "symbolic links"),
        (Path.unlink, "gone"),
    ],
)
def test_what_lies_in_the_place_of_a_database_is_named(
    file: Path, damage: Callable[[Path], object], named: str
) -> None:
    damage(file)
    assert named in told_by(lambda: record_of(StorageUrl.of_file(file), "s"))


@pytest.mark.parametrize("damage", [cut, log_alone, piped, folder, circle])
def test_a_run_does_not_write_over_it(file: Path, damage: Callable[[Path], object]) -> None:
    damage(file)
    before = sorted(path.name for path in file.parent.iterdir())
    told_by(lambda: evaluated_before(StorageUrl.of_file(file), "s", {}, own=True))
    told_by(lambda: opened(file))
    assert sorted(path.name for path in file.parent.iterdir()) == before


def test_a_study_that_searches_in_other_directions_is_not_gone_on_with(file: Path) -> None:
    changed(file, "UPDATE study_directions SET direction='MINIMIZE'")
    assert "minimize, minimize" in told_by(lambda: opened(file))


def test_tables_that_a_kill_left_half_made_are_made(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    optuna.storages.RDBStorage(f"sqlite:///{file}").engine.dispose()
    changed(file, "DELETE FROM version_info", "DELETE FROM alembic_version", "DROP TABLE trial_values")
    assert evaluated_before(StorageUrl.of_file(file), "s", {}, own=True) == 0
    with closing(opened(file)) as studies:
        assert studies.study.trials == []


def test_a_place_is_told_by_what_is_wrong_with_it(tmp_path: Path, whole: bytes) -> None:
    missing = StorageUrl.of_file(tmp_path / "none" / "study.db")
    assert "no directory" in told_by(lambda: evaluated_before(missing, "s", {}, own=False))
    for name in ("x" * 247 + ".db", "/".join(["d" * 200] * 3)):
        url = StorageUrl.of_file(tmp_path / name)
        assert "too long" in told_by(lambda url=url: evaluated_before(url, "s", {}, own=True))
    locked = tmp_path / "study.db"
    locked.write_bytes(whole)
    url = StorageUrl.written(f"sqlite:///{locked}?timeout=0.1", tmp_path)
    with closing(sqlite3.connect(locked, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "another process holds the file" in told_by(lambda: record_of(url, "s"))


@pytest.mark.parametrize(
    ("setting", "named"), [("max_page_count=1", "the disk is full"), ("query_only=1", "may not be written")]
)
def test_what_a_database_does_not_take_is_told_by_its_code(file: Path, setting: str, named: str) -> None:
    url = StorageUrl.of_file(file)
    storage = open_storage(url)
    event.listen(storage.engine, "checkout", lambda connection, *_: connection.execute(f"PRAGMA {setting}"))
    studies = StudyStore(optuna.load_study(study_name="s", storage=storage), ("accuracy",), storage)
    with closing(studies), pytest.raises(UserError) as caught, storage_trouble_explained(url):
        studies.set("more", "x" * 100_000)
    assert named in caught.value.found


def test_files_that_the_system_does_not_open_are_no_damage(tmp_path):
    error = OSError(errno.EMFILE, "Too many open files", str(tmp_path / "s.db"))
    told = trouble("it fails", StorageUrl.of_file(tmp_path / "s.db"), error)
    assert "ulimit -n" in told.remedy
    assert MEND_DAMAGE not in told.remedy
