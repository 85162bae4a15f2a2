"""Entries that are removed while others work with the store."""

import os
import time
from pathlib import Path

import pytest
from paretune.profiles.locks import locked
from paretune.search.store.contents import contents
from paretune.search.store.removal import remove_checkpoints, remove_locks, remove_unused
from paretune.search.store.store import Store, content_key
from paretune.search.store.users import forget_run, known_runs, remember_run, sessions, working
from paretune.search.store.uses import last_use, lock_of

KEYS = [content_key("export", 0, {"number": number}) for number in range(3)]
LONG_AGO = 10 * 86_400.0


@pytest.fixture
def store(tmp_path):
    """Three entries of which nobody has asked for in ten days."""
    found = Store(tmp_path / "store")
    for key in KEYS:
        found.produce("export", key, {"model": KEYS[0]}, lambda into: written(into))
    for path in [*found.root.glob("export/*"), *found.root.glob(".locks/*")]:
        os.utime(path, (time.time() - LONG_AGO,) * 2)
    return found


def written(into: Path) -> dict:
    (into / "model.onnx").write_bytes(b"model")
    return {"file": "model.onnx", "format": "onnx"}


def removed(store: Store, before: float) -> list[str]:
    return [entry.key for entry, gone in remove_unused(store.root, [*contents(store.root)], before) if gone]


def test_what_nobody_asked_for_goes_and_what_somebody_did_stays(store):
    yesterday = time.time() - 86_400
    listed = {entry.key: entry for entry in contents(store.root)}
    assert (len(listed), {entry.size_bytes > 5 for entry in listed.values()}) == (3, {True})
    assert listed[KEYS[1]].made_from == {"model": KEYS[0]}
    assert store.get("export", KEYS[1])
    assert sorted(removed(store, yesterday)) == sorted({*KEYS} - {KEYS[1]})
    assert store.get("export", KEYS[1])
    assert store.get("export", KEYS[0]) is None
    assert not lock_of(store.root, "export", KEYS[2]).exists()
    assert not [*(store.root / ".making").iterdir()]


def test_what_is_asked_for_after_the_look_stays(store):
    listed = [*contents(store.root)]
    assert store.get("export", KEYS[0])
    gone = {entry.key: went for entry, went in remove_unused(store.root, listed, time.time() - 86_400)}
    assert gone == {KEYS[0]: False, KEYS[1]: True, KEYS[2]: True}


def test_what_is_being_made_stays(store):
    with locked(lock_of(store.root, "export", KEYS[0])):
        assert KEYS[0] not in removed(store, time.time() - 86_400)


def test_an_entry_without_a_lock_of_its_own_is_as_old_as_it_is(store):
    """A store that was copied, or is of an earlier version."""
    for path in store.root.glob(".locks/*"):
        path.unlink()
    assert time.time() - last_use(store.root, "export", KEYS[0]) > LONG_AGO - 60
    assert sorted(removed(store, time.time() - 86_400)) == sorted(KEYS)


def test_checkpoints_and_locks_of_what_is_gone_go_and_strangers_stay(store):
    work = store.workdir("distill", KEYS[0])
    (work / "checkpoint.pt").write_bytes(bytes(100))
    (store.root / ".work" / "notes.txt").write_text("of a person")
    assert remove_checkpoints(store.root, time.time() - 60, dry_run=False) == (0, 0)
    assert remove_checkpoints(store.root, time.time() + 60, dry_run=True) == (1, 100)
    assert remove_checkpoints(store.root, time.time() + 60, dry_run=False) == (1, 100)
    assert [path.name for path in (store.root / ".work").iterdir()] == ["notes.txt"]
    remove_locks(store.root, time.time() + 60)
    assert {path.name for path in (store.root / ".locks").iterdir()} == {f"export.{key}" for key in KEYS}


def test_sessions_at_work_are_known_and_what_ended_ones_left_is_removed(store, tmp_path):
    (store.root / ".users").mkdir()
    (store.root / ".users" / "left").write_text("1\n/nowhere")
    with working(store.root, tmp_path / "runs" / "a"):
        (found,) = sessions(store.root)
    assert (found.process, found.run_dir) == (str(os.getpid()), tmp_path / "runs" / "a")
    assert sessions(store.root) == []
    assert not [*(store.root / ".users").iterdir()]


def test_a_run_is_found_where_it_was_moved_together_with_its_store(store, tmp_path):
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    remember_run(store.root, run)
    remember_run(store.root, run)
    assert known_runs(store.root) == [run]
    tmp_path.rename(tmp_path.with_name("moved"))
    root = tmp_path.with_name("moved") / "store"
    assert known_runs(root) == [tmp_path.with_name("moved") / "runs" / "a"]
    forget_run(root, tmp_path.with_name("moved") / "runs" / "a")
    assert known_runs(root) == []
