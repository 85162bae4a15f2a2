"""What is not the store's own: strangers stay, an entry never leads out of itself, nothing waits."""

import errno
import json
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
from paretune.profiles.errors import StageError, UserError
from paretune.profiles.files import write_whole
from paretune.search.record.digest import digest_of
from paretune.search.store.manifest import MANIFEST
from paretune.search.store.store import Store, content_key

KEY = content_key("sketch", 1, {"a": 1})


@pytest.fixture(autouse=True)
def no_wait():
    """A pipe would be waited for."""
    signal.alarm(20)
    yield
    signal.alarm(0)


def make(into):
    (into / "part").mkdir()
    (into / "part" / "file").write_text("hello")
    return {"length": 5}


def produced(store):
    return store.produce("sketch", KEY, {}, make)


def put(path: Path, kind: str):
    """A stranger at a path."""
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
        (path / "file").write_text("mine")
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "link to a folder":
        path.symlink_to("/etc")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's name is short
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
        os.chdir(here)


KINDS = ["file", "folder", "link", "link to a folder", "dangling", "loop", "pipe", "device", "socket"]


@pytest.mark.parametrize("kind", KINDS)
def test_strangers_beside_what_is_ours_are_left_alone(tmp_path, kind):
    entry = produced(Store(tmp_path))
    (tmp_path / ".work").mkdir()
    names = (".DS_Store", ".nfs0001", "notes", "a.b.c", "sketch.x")
    folders = (tmp_path, *(tmp_path / f for f in ("sketch", ".making", ".locks", ".work")), entry.path)
    for folder in folders:
        for name in names:
            put(folder / name, kind)
    found = produced(Store(tmp_path))
    assert found.cached
    assert found.file("part/file").read_text() == "hello"
    assert all(os.path.lexists(folder / name) for folder in folders for name in names)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["entry", MANIFEST, "part", "part/file"])
def test_a_stranger_in_the_place_of_what_is_ours_is_replaced_and_never_followed(tmp_path, place, kind):
    store = Store(tmp_path / "store")
    entry = produced(store)
    path = entry.path if place == "entry" else entry.path / place
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    put(path, kind)
    assert store.get("sketch", KEY) is None
    assert store.glance("sketch", KEY) is None
    again = produced(store)
    assert not again.cached
    assert again.file("part/file").read_text() == "hello"
    assert Path("/etc/passwd").is_file()


@pytest.mark.parametrize("place", [".", ".making", ".locks", "sketch", "lock"])
@pytest.mark.parametrize("kind", ["file", "dangling", "loop", "pipe"])
def test_a_stranger_in_the_place_of_a_folder_is_one_message(tmp_path, place, kind):
    root = tmp_path / "store"
    path = root / (f".locks/sketch.{KEY}" if place == "lock" else place)
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, "folder" if place == "lock" and kind in ("file", "pipe") else kind)
    with pytest.raises(UserError, match="the store cannot be written") as caught:
        produced(Store(root))
    assert "move it away" in caught.value.remedy
    assert os.path.lexists(path)


def tampered(entry, **changes):
    """The entry's manifest with these changes, and the digest that belongs to them."""
    plain = json.loads((entry.path / MANIFEST).read_text())
    del plain["digest"]
    for name, value in changes.items():
        plain.pop(name) if value is GONE else plain.update({name: value})
    (entry.path / MANIFEST).write_text(json.dumps({**plain, "digest": digest_of(plain)}))


GONE = object()
SECRET = {"sha256": "0" * 64, "size_bytes": 6}


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {name: SECRET}}
        for name in ("../secret", "/etc/passwd", "part/../../secret", "link", "", ".", "part", "\0", "\ud800")
    ]
    + [{name: GONE} for name in ("stage", "key", "files", "meta", "provenance", "seconds")]
    + [{name: value} for name in ("files", "meta", "provenance") for value in (None, [], "text", 7)]
    + [{"seconds": value} for value in (None, "1", float("nan"), float("inf"), True, 10**400)]
    + [{"files": {"part/file": value}} for value in (None, {}, {"sha256": 1, "size_bytes": "5"})]
    + [{"stage": "prune"}, {"key": "0" * 64}, {"key": ["a"]}],
)
def test_a_manifest_of_nonsense_is_damage_though_its_digest_is_right(tmp_path, changes):
    store = Store(tmp_path / "store")
    (store.root / "sketch").mkdir()
    entry = produced(store)
    secret = entry.path.parent / "secret"
    secret.write_text("secret")
    (entry.path / "link").symlink_to(secret)
    tampered(entry, **changes)
    seen = store.glance("sketch", KEY)  # reads no file
    for name in seen.files if seen else ():
        with pytest.raises(UserError, match="has no file"):
            seen.file(name)
    assert store.get("sketch", KEY) is None
    assert produced(store).file("part/file").read_text() == "hello"
    assert secret.read_text() == "secret"


def test_what_another_version_said_in_addition_is_no_damage(tmp_path):
    store = Store(tmp_path)
    tampered(produced(store), later={"a": [1]}, created=GONE)
    assert produced(store).cached


@pytest.mark.parametrize(
    ("stage", "meta"),
    [
        ("export", {"file": "../secret", "format": "onnx"}),
        ("export", {"file": "none", "format": "onnx"}),
        ("export", {"file": ["model"], "format": "onnx"}),
        ("export", {"file": "model"}),
        ("distill", {"quality": {}, "parameters": 1, "macs": 1}),
        ("distill", {"quality": {"validation": "1"}, "parameters": 1, "macs": 1}),
        ("distill", {"quality": {"validation": 1.0}, "parameters": 1, "macs": 1, "curve": [[1]]}),
        ("measure", {"load_ms": float("nan"), "first_inference_ms": 1.0, "memory_bytes": 1}),
        ("score", {"value": 1.0, "low": None, "high": None, "samples": 1}),
        ("spread", {"cores": [0.5]}),
    ],
)
def test_an_entry_says_what_its_stage_has_to_say_or_is_made_again(tmp_path, stage, meta):
    store = Store(tmp_path)
    good = {
        "export": {"file": "model", "format": "onnx"},
        "distill": {"quality": {"validation": 1.0}, "parameters": 1, "macs": 1, "curve": [[1, 0.5]]},
        "measure": {"load_ms": 1.0, "first_inference_ms": 1.0, "memory_bytes": 1},
        "score": {"value": 1.0, "low": None, "high": None, "samples": 1, "by_sample": None},
        "spread": {"cores": [0]},
    }[stage]

    def made(into):
        (into / "model").write_text("model")
        return good

    entry = store.produce(stage, KEY, {}, made)
    assert Store(tmp_path).produce(stage, KEY, {}, made).cached
    tampered(entry, meta=meta)
    assert not Store(tmp_path).produce(stage, KEY, {}, made).cached
    with pytest.raises(StageError, match="cannot be kept"):
        store.produce(stage, "1" * 64, {}, lambda into: meta)


@pytest.mark.parametrize("name", ["none", "../../secret", "/etc/passwd", "", MANIFEST, "part"])
def test_an_entry_gives_its_own_files_alone(tmp_path, name):
    entry = produced(Store(tmp_path))
    with pytest.raises(UserError, match="has no file"):
        entry.file(name)
    (entry.path / "part" / "file").unlink()
    (entry.path / "part" / "file").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="has no file"):
        entry.file("part/file")


@pytest.mark.parametrize("key", ["../../etc", "", "x", KEY.upper(), f"{KEY}/..", "\0"])
def test_a_key_of_others_is_no_part_of_a_path(tmp_path, key):
    produced(Store(tmp_path))
    assert Store(tmp_path).get("sketch", key) is None


@pytest.mark.parametrize("kind", ["link", "pipe", "dangling"])
def test_a_stage_writes_files_and_no_links(tmp_path, kind):
    with pytest.raises(StageError, match="no regular file"):
        Store(tmp_path).produce("sketch", KEY, {}, lambda into: put(into / "model", kind) or {})
    assert list((tmp_path / ".making").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EIO, errno.ESTALE])
def test_what_this_process_cannot_read_is_not_taken_for_damaged(tmp_path, monkeypatch, number):
    store = Store(tmp_path)
    entry = produced(store)

    def none_left(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", none_left)
        with pytest.raises(UserError, match="cannot be read at the moment") as caught:
            store.get("sketch", KEY)
    assert ("ulimit -n" in caught.value.remedy) == (number == errno.EMFILE)
    assert entry.path.is_dir()


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_file_that_holds_something_else_is_one_error(tmp_path, content):
    def made(into):
        (into / "file").write_text(content)
        return {}

    entry = Store(tmp_path).produce("sketch", KEY, {}, made)
    with pytest.raises(UserError, match="cannot be read") as caught:
        entry.read("file", lambda path: json.loads(path.read_text())["a"])
    assert caught.value.place == str(entry.path / "file")


def test_a_checkpoint_in_the_way_is_one_message(tmp_path):
    store = Store(tmp_path)
    (store.workdir("sketch", KEY) / "checkpoint").mkdir()

    def made(into):
        write_whole(store.workdir("sketch", KEY) / "checkpoint", "half")
        return {}

    with pytest.raises(UserError, match="the store cannot be written") as caught:
        store.produce("sketch", KEY, {}, made)
    assert "checkpoint" in caught.value.found
