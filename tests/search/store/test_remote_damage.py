"""What is damaged in an object store is taken out; what one machine cannot read stays for the others."""

import errno
import os
import shutil

import pytest
from contracts.store_contract import KEY, no_making, opened, written
from paretune.profiles.errors import UserError
from paretune.search.store import fetching, manifest
from paretune.search.store.objects import Objects

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(s3, bucket, tmp_path):
    return lambda name: opened(tmp_path / name, f"s3://{bucket}/all")


@pytest.fixture
def made(machine):
    machine("a").produce("sketch", KEY, {}, written())


def fails_to_read(machine, name="b"):
    with pytest.raises(UserError, match="the store cannot be"):
        machine(name).get("sketch", KEY)


def damaging(monkeypatch, times):
    """A disk on which what is fetched is another, so many times."""
    left, real = [None] * times, Objects.download

    def download(self, name, to):
        found = real(self, name, to)
        if left:
            left.pop()
            to.write_bytes(b"x" * (1 + len(left)))
        return found

    monkeypatch.setattr(Objects, "download", download)


def test_what_a_bad_disk_makes_of_an_entry_is_held_against_that_machine_alone(
    machine, made, monkeypatch, caplog
):
    with monkeypatch.context() as patched:
        damaging(patched, 99)
        store = machine("b")
        assert store.get("sketch", KEY) is None
        assert "it stays there" in caplog.text
        assert store.produce("sketch", KEY, {}, written("of b")).meta["length"] == 4
        assert machine("b").get("sketch", KEY).meta["length"] == 4
    assert machine("c").produce("sketch", KEY, {}, no_making).meta["length"] == 5


def test_what_did_not_come_whole_is_fetched_again(machine, made, monkeypatch):
    damaging(monkeypatch, 1)
    assert machine("b").produce("sketch", KEY, {}, no_making).cached


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_disk_that_cannot_be_read_is_no_damage_of_what_all_have(machine, made, monkeypatch, number):
    def check(entry, name, facts):
        raise OSError(number, os.strerror(number), name)

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "check_file", check)
        fails_to_read(machine)
    assert machine("b").get("sketch", KEY).cached


def test_a_folder_that_vanishes_on_the_way_is_no_damage_of_what_all_have(machine, made, monkeypatch):
    def download(self, name, to, real=Objects.download):
        shutil.rmtree(to.parent)
        return real(self, name, to)

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "download", download)
        fails_to_read(machine)
    assert machine("b").get("sketch", KEY).cached


def test_what_another_version_says_is_not_used_here_and_stays(machine, made, s3, bucket, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        patched.setattr(manifest, "misfit", lambda stage, plain: "" if "by" in plain["meta"] else ".meta.by")
        store = machine("b")
        assert [store.glance("sketch", KEY), store.get("sketch", KEY)] == [None, None]
        assert "it stays there" in caplog.text
        assert store.produce("sketch", KEY, {}, lambda into: {"by": "b"}).meta == {"by": "b"}
        assert machine("b").produce("sketch", KEY, {}, no_making).meta == {"by": "b"}
    assert machine("c").produce("sketch", KEY, {}, no_making).meta["length"] == 5


def test_who_may_only_read_leaves_the_damaged_to_others(machine, made, s3, bucket, monkeypatch):
    (name,) = s3.names(bucket, "all/files/")
    s3.write(bucket, name, b"hellO")

    def refuse(self, name):
        raise UserError("the object store refuses this user")

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "remove", refuse)
        assert machine("b").get("sketch", KEY) is None
    assert not machine("b").produce("sketch", KEY, {}, written()).cached


def test_what_is_damaged_here_is_asked_for_once(machine, made, monkeypatch):
    store, asked = machine("a"), []
    (store.root / "sketch" / KEY / "part" / "file.txt").write_text("hellO")

    def silent(self, name):
        asked.append(name)
        raise UserError("the object store does not answer")

    monkeypatch.setattr(Objects, "read", silent)
    with pytest.raises(UserError, match="does not answer"):
        store.get("sketch", KEY)
    assert len(asked) == 1
