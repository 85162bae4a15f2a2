"""What only a store in an object store can meet: broken lines, lost leases, strangers' objects."""

import json
import signal
import sys
import threading
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from contracts.store_contract import (
    KEY,
    MAKE_FOR_EVER,
    QUICK,
    child,
    ended,
    no_making,
    opened,
    until,
    written,
)
from paretune.profiles.errors import UserError
from paretune.search.record.digest import digest_of
from paretune.search.store import objects, work
from paretune.search.store.identity import shared_by
from paretune.search.store.leases import Beat
from paretune.search.store.objects import Objects
from paretune.search.store.opening import entry_in, open_store
from paretune.search.store.store import content_key

pytestmark = pytest.mark.slow

UPLOAD_HALF = """
from paretune.search.store.objects import Objects

upload, begun = Objects.upload, Path(sys.argv[4])
def half(self, source, name):
    if begun.exists():
        time.sleep(300)
    upload(self, source, name)
    begun.touch()
Objects.upload = half
def make(directory):
    (directory / "one").write_text("one")
    (directory / "two").write_text("two")
    return {"by": "the killed"}
store.produce("sketch", key, {}, make)
"""
MAKE_ON_TIME = """
def make(directory):
    Path(sys.argv[4]).touch()
    until = time.monotonic() + 60
    while not Path(sys.argv[5]).exists() and time.monotonic() < until:
        time.sleep(0.01)
    (directory / "part").mkdir()
    (directory / "part" / "file.txt").write_text("of the late")
    return {"by": "the late"}
made = store.produce("sketch", key, {}, make)
print(made.meta, made.file("part/file.txt").read_text())
"""


@pytest.fixture
def machine(s3, bucket, tmp_path):
    return lambda name: opened(tmp_path / name, f"s3://{bucket}/all")


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def two(directory: Path) -> dict:
    (directory / "one").write_text("1")
    return {"by": "another"}


@pytest.mark.parametrize("meanwhile", ["nobody", "another"])
def test_an_upload_that_is_killed_midway_is_no_entry_and_is_ended_later(
    machine, s3, bucket, tmp_path, meanwhile
):
    begun = tmp_path / "begun"
    process = child(UPLOAD_HALF, machine("a"), begun)
    until(begun.exists)
    killed(process)
    assert len(s3.names(bucket, "all/files/")) == 1
    assert machine("b").get("sketch", KEY) is None
    if meanwhile == "another":
        assert machine("b").produce("sketch", KEY, {}, two).meta == {"by": "another"}
    found = machine("a").get("sketch", KEY)  # it was made there, and so is what is put now
    by = "the killed" if meanwhile == "nobody" else "another"
    assert {found.meta["by"], *(machine(name).get("sketch", KEY).meta["by"] for name in "bc")} == {by}
    assert found.file("one").read_text() == machine("c").get("sketch", KEY).file("one").read_text()


def test_a_holder_that_slept_over_its_lease_takes_what_another_made(machine, s3, bucket, tmp_path):
    begun, goes_on = tmp_path / "begun", tmp_path / "goes on"
    process = child(MAKE_ON_TIME, machine("a"), begun, goes_on)
    until(begun.exists)
    process.send_signal(signal.SIGSTOP)
    made = machine("b").produce("sketch", KEY, {}, written("of the other"))
    assert not made.cached
    process.send_signal(signal.SIGCONT)
    goes_on.touch()
    assert "of the other" in ended(process)
    assert machine("c").get("sketch", KEY).file("part/file.txt").read_text() == "of the other"
    assert s3.names(bucket, "all/leases/") == []


def test_whoever_was_killed_is_not_waited_for_on_its_own_machine(machine, bucket, tmp_path):
    begun, slow = tmp_path / "begun", Beat(lapse=1000.0)
    process = child(MAKE_FOR_EVER, machine("a"), begun)
    until(begun.exists)
    killed(process)
    again = opened(tmp_path / "a", f"s3://{bucket}/all", slow)
    assert not again.produce("sketch", KEY, {}, written()).cached


def test_a_lease_that_is_renewed_is_waited_for(machine, tmp_path):
    """For longer than one that stands still would be."""
    begun, goes_on = tmp_path / "begun", tmp_path / "goes on"
    process = child(MAKE_ON_TIME, machine("a"), begun, goes_on)
    until(begun.exists)
    waiting = child("print(store.produce('sketch', key, {}, lambda into: {'by': 'me'}).meta)", machine("b"))
    time.sleep(QUICK.lapse * 1.5)
    assert waiting.poll() is None
    goes_on.touch()
    assert "the late" in ended(process)
    assert "the late" in ended(waiting)


def test_what_is_here_is_asked_nobody_for_and_what_is_absent_not_again_and_again(machine, monkeypatch):
    machine("a").produce("sketch", KEY, {}, written())
    store, asked = machine("b"), []
    real = Objects._asked
    monkeypatch.setattr(Objects, "_asked", lambda self, ask: asked.append(1) or real(self, ask))
    store.get("sketch", KEY)
    assert asked
    asked.clear()
    assert [store.get("sketch", KEY).cached, store.produce("sketch", KEY, {}, no_making).cached] == [True] * 2
    assert asked == []
    (store.root / "sketch" / KEY / "part" / "file.txt").write_text("hellO")
    assert store.get("sketch", KEY).file("part/file.txt").read_text() == "hello"  # fetched once more
    asked.clear()
    absent = [content_key("sketch", 2, {"number": number}) for number in range(500)]
    assert [store.glance("sketch", key) for key in absent] == [None] * 500
    assert len(asked) == 1


def out_of_it(plain):
    plain["files"]["../../../out"] = {"sha256": "0" * 64, "size_bytes": 0}


def of_another(plain):
    plain["key"] = "0" * 64


@pytest.mark.parametrize("change", [out_of_it, of_another, None])
def test_a_manifest_of_a_strangers_is_no_entry(machine, s3, bucket, tmp_path, change, caplog):
    machine("a").produce("sketch", KEY, {}, written())
    name = f"all/entries/sketch/{KEY}.json"
    plain = json.loads(s3.read(bucket, name))
    if change is not None:
        del plain["digest"]
        change(plain)
        plain["digest"] = digest_of(plain)
    s3.write(bucket, name, json.dumps(plain).encode() if change else b"{")
    store = machine("b")
    assert store.get("sketch", KEY) is None
    assert "is damaged" in caplog.text
    assert not list(tmp_path.rglob("out"))
    assert not store.produce("sketch", KEY, {}, written("again")).cached
    assert machine("c").get("sketch", KEY).meta["length"] == 5


def test_an_entry_that_lost_a_file_is_made_again(machine, s3, bucket, caplog):
    machine("a").produce("sketch", KEY, {}, written())
    s3.remove(bucket, "all/files/")
    assert machine("b").get("sketch", KEY) is None
    assert "is damaged" in caplog.text
    assert not machine("b").produce("sketch", KEY, {}, written()).cached
    assert machine("c").get("sketch", KEY).cached


def test_checkpoints_go_where_work_goes_on_and_the_later_one_counts(machine, s3, bucket, caplog):
    class Stop(Exception):
        pass

    def epoch(store, name, text):
        def make(into):
            work = store.workdir("sketch", KEY)
            found.append((work / "checkpoint").read_text() if (work / "checkpoint").exists() else "")
            (work / "deeper").mkdir(exist_ok=True)
            for path in (work / "checkpoint", work / "deeper" / "start.json"):
                path.write_text(text)
            store.keep_work("sketch", KEY)
            if name == "end":
                return {}
            raise Stop

        return make

    a, b, found = machine("a"), machine("b"), []
    for store, text in ((a, "1"), (b, "2"), (a, "3")):
        with pytest.raises(Stop):
            store.produce("sketch", KEY, {}, epoch(store, "", text))
    (a.root / ".work" / f"sketch.{KEY}" / "checkpoint").write_text("4")  # could not be copied
    with pytest.raises(Stop):
        a.produce("sketch", KEY, {}, epoch(a, "", "5"))
    assert found == ["", "1", "2", "4"]
    b.produce("sketch", KEY, {}, epoch(b, "end", "6"))
    assert found[-1] == "5"
    assert s3.names(bucket, "all/work/") == []
    assert not caplog.text


def test_a_checkpoint_that_cannot_be_copied_ends_nothing_and_is_told_once(machine, monkeypatch, caplog):
    def refuse(self, source, name):
        raise UserError("the object store refuses this user")

    store = machine("a")
    monkeypatch.setattr(Objects, "upload", refuse)
    for _ in range(2):
        (store.workdir("sketch", KEY) / "checkpoint").write_text("1")
        store.keep_work("sketch", KEY)
        store._copies.settle("sketch", KEY)
    assert caplog.text.count("could not be copied") == 1


def test_what_a_cache_has_is_put_into_a_bucket_that_was_made_anew(machine, s3, bucket):
    machine("a").produce("sketch", KEY, {}, written())
    s3.remove(bucket, "all/")
    store = machine("a")
    assert machine("b").get("sketch", KEY) is None
    assert store.get("sketch", KEY)
    assert machine("b").get("sketch", KEY).cached


def test_what_is_in_the_cache_needs_no_line(s3, bucket, monkeypatch):
    url = f"s3://{bucket}/all"
    store = open_store(url)
    store.produce("sketch", KEY, {}, written())
    assert shared_by(store.root) == url
    monkeypatch.setattr(Objects, "_asked", lambda self, ask: pytest.fail("it was asked"))
    assert entry_in(url, "sketch", KEY).file("part/file.txt").read_text() == "hello"


def test_where_no_store_is_none_is_made_by_who_only_looks(s3, bucket):
    assert entry_in(f"s3://{bucket}/none", "sketch", KEY) is None
    assert s3.names(bucket) == []


def test_processes_that_come_first_at_a_time_have_one_cache(s3, bucket, tmp_path):
    url, named = f"s3://{bucket}/all", []

    def first():
        named.append(opened(tmp_path / "a", url)._cache)

    opening = [threading.Thread(target=first) for _ in range(4)]
    for one in opening:
        one.start()
    for one in opening:
        one.join()
    assert (len(named), len(set(named))) == (4, 1)
    (tmp_path / "a" / ".shared").write_bytes(b"\xff\xfe\n\xff")  # of no program of ours
    assert opened(tmp_path / "a", url)._cache
    assert shared_by(tmp_path / "a") == url


NO_BUCKET = r"s3://nobody/x: the object store has no such bucket\n  found: .*\n  what to do: make it"


def test_what_cannot_be_asked_says_why(s3, bucket, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=NO_BUCKET):
        opened(tmp_path / "a", "s3://nobody/x")
    s3.write(bucket, "old/store.json", b'{"format": 7, "id": "x"}')
    with pytest.raises(UserError, match=r"no store of this version\n  found: format 7"):
        opened(tmp_path / "b", f"s3://{bucket}/old")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(
        UserError, match=r"s3:// is not installed, .*\n.*\n  what to do: pip install 'paretune\[s3\]'"
    ):
        opened(tmp_path / "c", f"s3://{bucket}/x")


@pytest.fixture
def answering(monkeypatch):
    """An S3 that has these answers, each a status and a code, and stays with the last one; without any nobody
    is there."""
    servers = []

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # whoever puts something asks whether to go on

        def do_GET(self):
            status, code = self.server.answers.pop(0) if self.server.answers[1:] else self.server.answers[0]
            said = f"<Error><Code>{code}</Code><Message>said there</Message></Error>"
            body = said.encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *args):
            pass

    def start(*answers: tuple[int, str]) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        server.answers = list(answers)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "x")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        if answers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        else:
            server.server_close()

    yield start
    for server in servers:
        if server.answers:
            server.shutdown()
            server.server_close()


TROUBLE = {
    "the object store refuses this user": (403, "AccessDenied"),
    "the object store's credentials have expired": (400, "ExpiredToken"),
    "the clock of this machine is too wrong for the object store": (403, "RequestTimeTooSkewed"),
    "no credentials for the object store were found, or wrong ones": (401, "Unauthorized"),
    "no space left in the object store": (507, "StorageFull"),
    "the object store does not answer": (),
    "the object store cannot be asked": (400, "InvalidRequest"),
}


@pytest.mark.parametrize("told", TROUBLE)
def test_what_the_service_says_is_told_in_one_form(answering, told):
    answering(*filter(None, [TROUBLE[told]]))
    with pytest.raises(UserError, match=f"^s3://bucket/x: {told}\n  found: .*\n  what to do: ") as refused:
        Objects("s3://bucket/x", patience=0.1).read("name")
    assert "said there" in str(refused.value) or not TROUBLE[told]


@pytest.mark.parametrize("answer", [(409, "ConditionalRequestConflict"), (404, "NoSuchUpload")])
def test_what_is_refused_since_others_are_at_it_is_put_again(answering, answer):
    answering(answer, (200, ""))
    assert Objects("s3://bucket/x").create("name", b"content")
    answering(answer, (412, "PreconditionFailed"))
    assert not Objects("s3://bucket/x").create("name", b"content")


def test_the_end_does_not_wait_for_a_store_that_is_silent(answering, monkeypatch, tmp_path):
    answering()
    monkeypatch.setattr(objects, "_TOLD_AFTER_S", 0.0)
    monkeypatch.setattr(work, "_WAIT_S", 1e9)
    silent = Objects("s3://bucket/x", patience=0.1)
    copies = work.WorkCopies(silent.patient(0.1), lambda stage, key: nullcontext(tmp_path))
    with pytest.raises(UserError, match="does not answer"):
        silent.read("name")
    copies._busy = ("sketch", KEY)
    copies.settle("sketch", KEY)


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:hunter2/x@bucket/x",
        "s3://KEY@bucket/x",
        "sftp://me:hunter2/x@host/x",
        "s3://b/x?secret=hunter2",
    ],
)
def test_a_url_with_a_secret_is_refused_and_the_secret_not_shown(url):
    with pytest.raises(UserError, match=r"\*\*\*") as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)
    assert "KEY@" not in str(refused.value)


@pytest.mark.parametrize("url", ["s3://", "s3:///", "nothing-like-it://bucket/x"])
def test_what_names_no_store_is_refused(url, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"s3://BUCKET/PREFIX"):
        open_store(url)
