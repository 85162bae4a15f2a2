"""A directory on a disk where locks are seen by one machine alone, or by none."""

import errno
import fcntl
import os
import platform
import time

import pytest
from paretune.profiles.locks import is_held, locked
from paretune.search.store.asides import aside_of
from paretune.search.store.store import Store, content_key

KEY = content_key("sketch", 1, {"a": 1})
LONG_AGO = time.time() - 30 * 86_400


@pytest.fixture
def no_locks(monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


def opened_again(store: Store) -> list[str]:
    Store(store.root)
    return [path.name for path in (store.root / ".making").iterdir()]


def test_what_somebody_makes_is_not_swept_where_no_lock_tells_of_it(tmp_path, no_locks):
    store, seen = Store(tmp_path), []

    def make(into):
        seen.extend(opened_again(store))
        return {}

    store.produce("sketch", KEY, {}, make)
    assert len(seen) == 1
    left = aside_of(store.root, "sketch", KEY)
    left.mkdir()
    assert opened_again(store) == [left.name]
    os.utime(left, (LONG_AGO, LONG_AGO))
    assert opened_again(store) == []


def test_a_free_lock_tells_of_what_was_made_on_this_machine_alone(tmp_path, monkeypatch):
    store = Store(tmp_path)
    ours = aside_of(store.root, "sketch", KEY)
    monkeypatch.setattr(platform, "node", lambda: "another")
    theirs = aside_of(store.root, "sketch", KEY)
    monkeypatch.undo()
    for path in (ours, theirs):
        path.mkdir(parents=True)
    assert opened_again(store) == [theirs.name]
    os.utime(theirs, (LONG_AGO, LONG_AGO))
    (store.root / ".locks").mkdir()
    with locked(store.root / ".locks" / f"sketch.{KEY}"):
        assert opened_again(store) == [theirs.name]
    assert opened_again(store) == []


def test_of_two_that_make_an_entry_at_a_time_the_first_one_stays(tmp_path, no_locks):
    def by(name):
        def make(into):
            (into / "file").write_text(name)
            return {"by": name}

        return make

    def late(into):
        assert Store(tmp_path).produce("sketch", KEY, {}, by("the fast")).meta == {"by": "the fast"}
        return by("the late")(into)

    found = Store(tmp_path).produce("sketch", KEY, {}, late)
    assert (found.meta, found.file("file").read_text()) == ({"by": "the fast"}, "the fast")
    assert not list((tmp_path / ".making").iterdir())


def test_a_lock_is_seen_where_only_what_may_be_written_can_be_locked(tmp_path, monkeypatch):
    """As on NFS."""
    real = fcntl.flock

    def flock(descriptor, operation):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / "lock"
    with locked(path):
        assert is_held(path) is True
    assert is_held(path) is False
    assert is_held(tmp_path) is None
