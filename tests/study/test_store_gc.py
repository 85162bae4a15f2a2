"""`paretune store gc` on the store of a real study: what goes, what stays and works, and when it refuses."""

import os
import shutil
import time

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.locks import locked
from paretune.reports.bundle.write import export_bundle
from paretune.search.ranking.reading import read
from paretune.search.record.progress import Progress
from paretune.search.retention.gc import store_gc
from paretune.search.run.restore import with_artifact
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run
from paretune.search.store.store import Store
from paretune.search.store.users import remember_run, sessions, working

pytestmark = pytest.mark.slow


class KnownAtWork(Progress):
    """Which runs a store knows of while they are at work."""

    def __init__(self, root):
        self.root, self.runs = root, set()

    def stage(self, name):
        self.runs |= {one.run_dir for one in sessions(self.root)}


@pytest.fixture(scope="module")
def ended(bench_in, tmp_path_factory):
    """A study that has ended, a copy of all that it left, and who was known to be at work meanwhile."""
    bench = bench_in(tmp_path_factory.mktemp("gc"))
    study = bench.study(budget={"trials": 5}, finalists=1)
    known = KnownAtWork(bench.root / ".paretune" / "store")
    run_study(study, known)
    kept = tmp_path_factory.mktemp("kept") / "all"
    shutil.copytree(bench.root, kept)
    return study, kept, known


@pytest.fixture
def study(ended):
    """The study as it ended, thirty days ago."""
    study, kept, _ = ended
    shutil.rmtree(study.parent)
    shutil.copytree(kept, study.parent)
    store = study.parent / ".paretune" / "store"
    for path in [*store.glob("*/*"), *store.glob(".locks/*")]:
        os.utime(path, (time.time() - 30 * 86_400,) * 2)
    return study


class Told(Progress):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def entries(study):
    return {f"{p.parent.name}/{p.name}" for p in (study.parent / ".paretune" / "store").glob("[!.]*/*")}


def test_what_the_front_needs_stays_and_is_exported_as_it_is(study, tmp_path):
    before = entries(study)
    would = store_gc(study, dry_run=True)
    assert entries(study) == before
    freed = store_gc(study)
    assert {kind: amount.entries for kind, amount in freed.freed.items()} == {
        kind: amount.entries for kind, amount in would.freed.items()
    }
    assert sum(amount.entries for amount in freed.freed.values()) == len(before - entries(study)) > 0
    record, _ = open_run(study)
    front = [entry.number for entry in read(record).ranking.entries if entry.on_front]
    told = Told()
    for number in {*front, record.baseline, *(one.number for one in record.finalists)}:
        export_bundle(with_artifact(study, record, number, told), number, tmp_path / str(number))
    assert told.notes == []
    assert run_study(study).unchanged
    assert store_gc(study).freed == {}


def test_a_run_is_known_to_its_store_while_it_is_at_work(ended):
    study, _, known = ended
    assert known.runs == {study.parent / "runs" / "blobs"}
    assert sessions(known.root) == []


def test_what_a_session_at_work_asked_for_stays(study):
    root = study.parent / ".paretune" / "store"
    lone = next(key for key in entries(study) if key.partition("/")[2] not in needed(study))
    with working(root, study.parent / "runs" / "another"):
        assert Store(root).get(*lone.split("/"))
        assert store_gc(study, keep_days=0).freed != {}
    assert lone in entries(study)


def needed(study):
    found = store_gc(study, dry_run=True)
    return found.runs[0].needs.keys


def test_a_study_that_may_go_on_keeps_all_that_it_names(study):
    import sqlite3

    with sqlite3.connect(study.parent / "runs" / "blobs" / "study.db") as base:
        base.execute("UPDATE study_user_attributes SET value_json = replace(value_json, 'ended', 'begun')")
    found = store_gc(study)
    (run,) = found.runs
    assert (run.ended, len(run.needs.trials["may go on"])) == (False, 5)


def test_it_refuses_what_it_cannot_know_and_removes_nothing(study, tmp_path):
    before, root = entries(study), study.parent / ".paretune" / "store"
    other = study.parent / "runs" / "other"
    other.mkdir()
    (other / "run.json").write_text("{half")
    with pytest.raises(UserError, match="nobody can say what it needs"):
        store_gc(study)
    assert entries(study) == before
    store_gc(study, forget=[other], dry_run=True)
    shutil.rmtree(other)
    remember_run(root, tmp_path / "away" / "runs" / "x")
    with pytest.raises(UserError, match="cannot be found"):
        store_gc(study)
    with locked(root / ".locks" / "store-gc"), pytest.raises(UserError, match="another process"):
        store_gc(study)
    with pytest.raises(UserError, match="this is no store"):
        store_gc(tmp_path)
    assert entries(study) == before
    assert store_gc(study, forget=[tmp_path / "away" / "runs" / "x"]).freed
    assert store_gc(study).freed == {}


def test_a_run_that_was_removed_needs_nothing_and_a_size_that_cannot_be_is_said(study):
    over = store_gc(study, max_size="1 kB")
    assert (over.exit_code, over.over_bytes > 0) == (2, True)
    shutil.rmtree(study.parent / "runs" / "blobs")
    found = store_gc(study.parent / ".paretune" / "store", max_size="1 kB")
    assert (found.exit_code, len(found.forgotten), entries(study)) == (0, 1, set())
