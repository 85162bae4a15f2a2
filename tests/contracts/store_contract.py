"""What every store has to do for machines that share it; each kind's tests subclass it."""

import platform
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from paretune.search.record.stops import Interrupted
from paretune.search.store.leases import Beat
from paretune.search.store.remote import RemoteStore
from paretune.search.store.store import Store, content_key

KEY = content_key("distill", 1, {"a": 1})
QUICK = Beat(every=0.2, look=0.05, lapse=3.0)
_HEAD = """
import os, sys, time
from pathlib import Path
from contracts.store_contract import opened
store, key = opened(sys.argv[1], sys.argv[2]), sys.argv[3]
"""


def opened(root: object, url: str = "", beat: Beat = QUICK) -> Store:
    """The store of a machine: a directory that all share, or the cache of an object store."""
    return RemoteStore(Path(str(root)), url, beat=beat) if url else Store(Path(str(root)))


def child(code: str, store: Store, *arguments: object) -> subprocess.Popen:
    """Run code in a process of its own that has the same `store` open."""
    place = [str(store.root), getattr(store, "url", ""), KEY]
    here = Path(__file__)
    head = f"import sys\nsys.path[:0] = [{str(here.parent)!r}, {str(here.parent.parent)!r}]\n{_HEAD}"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code), *place, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen) -> str:
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return out


def until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def written(text: str = "hello"):
    def make(directory: Path):
        (directory / "part").mkdir()
        (directory / "part" / "file.txt").write_text(text)
        return {"length": len(text), "shape": (1, 2)}

    return make


def no_making(directory: Path):
    raise AssertionError("the entry should have been found")


RACE = """
def make(directory):
    with open(sys.argv[4], "a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(0.5)
    (directory / "result").write_text(str(os.getpid()))
    return {"pid": os.getpid()}
print(store.produce("sketch", key, {}, make).meta["pid"])
"""
MAKE_FOR_EVER = """
def make(directory):
    (directory / "half").write_text("half")
    (store.workdir("sketch", key) / "checkpoint").write_text("epoch 3")
    store.keep_work("sketch", key)
    Path(sys.argv[4]).touch()
    time.sleep(300)
store.produce("sketch", key, {}, make)
"""


KILLED_IN_PRESENCE = """
with store.presence("sketch", key):
    os._exit(9)
"""


class StoreContract:
    """A subclass has the two methods; `machine` opens the store as a machine of that name sees it."""

    @pytest.fixture
    def machine(self, tmp_path):
        raise NotImplementedError

    def damage(self, store: Store) -> None:
        """Change a byte of the entry's file, where all read it."""
        raise NotImplementedError

    def test_what_one_makes_another_finds(self, machine):
        made = machine("a").produce("sketch", KEY, {"from": "x"}, written())
        assert not made.cached
        other = machine("b")
        seen = other.glance("sketch", KEY)
        assert (seen.meta, seen.provenance) == ({"length": 5, "shape": [1, 2]}, {"from": "x"})
        found = other.produce("sketch", KEY, {}, no_making)
        assert (found.cached, found.meta, found.made_seconds) == (True, made.meta, made.made_seconds)
        assert found.file("part/file.txt").read_text() == "hello"
        assert other.get("prune", KEY) is None
        assert other.glance("sketch", "0" * 64) is None
        assert other.get("sketch", "../../etc") is None

    def test_what_is_discarded_is_gone_for_all_and_is_made_again(self, machine):
        one = machine("one")
        one.produce("sketch", KEY, {}, written())
        for _ in range(2):
            one.discard("sketch", KEY)
        assert machine("other").get("sketch", KEY) is None
        assert not one.produce("sketch", KEY, {}, written()).cached

    def test_the_latest_comes_first(self, machine):
        keys = [content_key("sketch", 1, {"number": number}) for number in range(3)]
        for key, name in zip(keys, "aba", strict=True):
            time.sleep(1.05 if key != keys[0] else 0)  # the times of some stores have whole seconds
            machine(name).produce("sketch", key, {}, written(key))
        assert [entry.key for entry in machine("c").latest("sketch")] == keys[::-1]

    def test_a_stage_that_raises_leaves_nothing_and_keeps_nobody_out(self, machine):
        def broken(directory: Path):
            (directory / "half").write_text("x")
            raise ValueError("broken stage")

        with pytest.raises(ValueError, match="broken stage"):
            machine("a").produce("sketch", KEY, {}, broken)
        assert machine("b").get("sketch", KEY) is None
        assert not machine("b").produce("sketch", KEY, {}, written()).cached

    def test_a_damaged_entry_is_a_miss_and_made_again(self, machine, caplog):
        store = machine("a")
        store.produce("sketch", KEY, {}, written())
        self.damage(store)
        other = machine("b")
        assert other.get("sketch", KEY) is None
        assert "is damaged" in caplog.text
        assert not other.produce("sketch", KEY, {}, written("again")).cached
        assert machine("c").get("sketch", KEY).file("part/file.txt").read_text() == "again"

    def test_of_two_that_want_it_one_makes_it(self, machine, tmp_path):
        log = tmp_path / "log"
        answers = {ended(one) for one in [child(RACE, machine(name), log) for name in "ab"]}
        assert {log.read_text()} == answers

    def test_another_goes_on_with_what_a_killed_one_has_come_to(self, machine, tmp_path):
        begun, other = tmp_path / "begun", machine("b")
        process = child(MAKE_FOR_EVER, machine("a"), begun)
        until(begun.exists)
        until(lambda: self.is_kept(other))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = []

        def go_on(directory: Path):
            found.append((other.workdir("sketch", KEY) / "checkpoint").read_text())
            return {}

        assert not other.produce("sketch", KEY, {}, go_on).cached
        assert found == ["epoch 3"]
        assert not (machine("c").workdir("sketch", KEY) / "checkpoint").exists()

    def test_a_wait_for_another_is_told_and_can_be_ended(self, machine, tmp_path):
        begun, passed = tmp_path / "begun", []

        def waited(seconds):
            passed.append(seconds)
            if len(passed) == 3:
                raise Interrupted("enough")

        process = child(MAKE_FOR_EVER, machine("a"), begun)
        until(begun.exists)
        other = machine("b")
        other._waited = waited
        with pytest.raises(Interrupted, match="enough"):
            other.produce("sketch", KEY, {}, no_making)
        assert sum(passed) > 0
        process.kill()
        process.communicate()

    def is_kept(self, store: Store) -> bool:
        """Whether what `MAKE_FOR_EVER` has come to is where others find it."""
        return True

    def test_a_presence_that_a_kill_left_is_swept_by_the_next_here_and_that_of_another_machine_stays(
        self, machine, monkeypatch
    ):
        here, there = machine("a"), machine("b")
        keys = [content_key("sketch", 1, {"session": number}) for number in range(3)]
        with ExitStack() as beside:
            with monkeypatch.context() as patch:
                patch.setattr(platform, "node", lambda: "another")
                beside.enter_context(there.presence("sketch", keys[0]))
            with here.presence("sketch", keys[1]):
                assert child(KILLED_IN_PRESENCE, here).wait() == 9
                assert machine("b").glance("sketch", KEY) is not None
                with machine("a").presence("sketch", keys[2]):
                    assert {entry.key for entry in machine("b").latest("sketch")} == set(keys)
        assert [*machine("b").latest("sketch")] == []
