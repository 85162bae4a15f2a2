"""Parts brought to a board: whole or not at all, whatever happens on the way, and never twice."""

import fcntl
import json
import os
import signal
import sys
import threading
import zipfile
from dataclasses import replace

import psutil
import pytest
from paretune.backends.boards import delivery
from paretune.backends.boards.delivery import CHUNK, Delivery
from paretune.backends.boards.parts import PreparedSet, part_of
from paretune.profiles.errors import UserError


def make_part(folder, name, content, extra=()):
    archive = folder / f"{name}.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(f"{name}/module.py", content)
        opened.writestr(f"{name}/sub/other.py", b"")
        for entry, text in extra:
            opened.writestr(entry, text)
    return part_of(archive, name)


@pytest.fixture
def made(tmp_path):
    """A set of two parts, of which one takes several chunks."""
    return PreparedSet(
        tag=sys.implementation.cache_tag,
        runner="0123456789ab",
        parts=[
            make_part(tmp_path, "small", b"x = 1\n"),
            make_part(tmp_path, "large", os.urandom(3 * CHUNK + 17)),
        ],
    )


def prepared(home):
    return home / "w" / "prepared"


def current(home):
    file = prepared(home) / "current"
    return file.read_text() if file.exists() else None


@pytest.fixture
def bring(quiet):
    """Makes a whole delivery; gives the bytes that had to be sent."""

    def brought(launch, made, steps=None, *, switch=True, again=False):
        with Delivery(launch, made, steps or quiet(), again=again) as delivery:
            size = delivery.bytes_to_send
            delivery.send()
            if switch:
                delivery.switch()
        return size

    return brought


def test_a_set_is_brought_and_is_the_current_one_after_the_switch(launch, home, made, bring, quiet):
    bring(launch, made, switch=False)
    assert current(home) is None
    for part in made.parts:
        folder = prepared(home) / "parts" / part.name
        assert (folder / part.name.split("-")[0] / "module.py").exists()
    assert bring(launch, made) == 0  # what is there is not sent again
    assert current(home) == made.name
    assert json.loads((prepared(home) / "sets" / f"{made.name}.json").read_text())["runner"] == made.runner
    assert not list((prepared(home) / "arriving").iterdir())
    with Delivery(launch, made, quiet()) as delivery:
        assert delivery.current
        assert not delivery.missing


@pytest.mark.slow
def test_an_interruption_at_any_moment_leaves_the_board_as_it_was_and_the_next_goes_on(
    launch, home, made, bring, quiet
):
    before = replace(made, parts=made.parts[:1])
    bring(launch, before)
    whole, sent, stop = sum(part.size for part in made.parts), [], 0

    class InterruptedError(Exception):
        pass

    def at(number):
        if number == stop:
            raise InterruptedError

    while True:
        stop += 1
        try:
            sent.append(bring(launch, made, quiet(at)))
            break
        except InterruptedError:
            assert current(home) == before.name
    assert stop >= 4
    assert current(home) == made.name
    assert sent[-1] < whole - CHUNK


def test_a_kill_of_the_far_side_is_told_and_the_next_goes_on(launch, home, made, bring, quiet):
    def at(number):
        if number == 4:
            for process in psutil.Process().children(recursive=True):
                if process.cmdline()[:1] == [sys.executable] and "-c" in process.cmdline():
                    process.send_signal(signal.SIGKILL)

    with pytest.raises(UserError):
        bring(launch, made, quiet(at))
    assert current(home) is None
    bring(launch, made)
    assert current(home) == made.name


def test_what_arrived_of_something_else_is_not_kept(launch, home, made, bring):
    arriving = prepared(home) / "arriving"
    arriving.mkdir(parents=True)
    (arriving / made.parts[1].name).write_bytes(b"\0" * CHUNK)
    bring(launch, made)
    module = prepared(home) / "parts" / made.parts[1].name / "large" / "module.py"
    with zipfile.ZipFile(made.parts[1].file) as archive:
        assert module.read_bytes() == archive.read("large/module.py")


@pytest.mark.parametrize("damage", ["gone", "shorter", "more"])
def test_a_part_that_was_damaged_there_is_brought_again(launch, home, made, damage, bring):
    bring(launch, made)
    module = prepared(home) / "parts" / made.parts[0].name / "small" / "module.py"
    if damage == "gone":
        module.unlink()
    elif damage == "shorter":
        module.write_text("")
    else:
        module.with_name("more.py").write_text("x")
    assert bring(launch, made) == made.parts[0].size
    assert module.read_text() == "x = 1\n"
    assert not module.with_name("more.py").exists()


def test_what_is_there_is_brought_again_where_that_is_asked_for(launch, home, made, bring):
    bring(launch, made)
    module = prepared(home) / "parts" / made.parts[0].name / "small" / "module.py"
    module.write_text("y = 2\n")  # of the same size
    assert bring(launch, made) == 0
    assert bring(launch, made, again=True) == sum(part.size for part in made.parts)
    assert module.read_text() == "x = 1\n"
    assert not list((prepared(home) / "arriving").iterdir())


def test_what_nobody_needs_is_removed_and_what_a_runner_holds_is_not(
    launch, home, made, tmp_path, bring, monkeypatch
):
    monkeypatch.setattr(delivery, "ENDING_S", 0.0)
    bring(launch, made)
    old = prepared(home) / "sets" / f"{made.name}.json"
    newer = replace(made, parts=[make_part(tmp_path, "newer", b"y = 1\n")])
    with old.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        bring(launch, newer)
        assert old.exists()
        assert len(list((prepared(home) / "parts").iterdir())) == 3
    newest = replace(made, parts=[make_part(tmp_path, "newest", b"z = 1\n")])
    bring(launch, newest)
    assert [path.name for path in (prepared(home) / "parts").iterdir()] == [newest.parts[0].name]
    assert [path.stem for path in (prepared(home) / "sets").iterdir()] == [newest.name]


@pytest.mark.slow
def test_two_at_once_come_one_after_the_other(launch, home, made, bring, quiet):
    waiting, sizes = quiet(), []
    with Delivery(launch, made, quiet()) as first:
        second = threading.Thread(target=lambda: sizes.append(bring(launch, made, waiting)))
        second.start()
        while not any("another setup" in text for text in waiting.said):
            assert second.is_alive()
        first.send()
        first.switch()
    second.join(30)
    assert sizes == [0]
    assert current(home) == made.name


def test_nothing_leaves_its_folder(launch, home, made, tmp_path, bring):
    entries = [("../out.py", "x"), ("/tmp/out.py", "x"), ("a/../../out.py", "x"), ("a\\..\\out.py", "x")]
    wheel = [("it-1.data/purelib/pure.py", "x"), ("it-1.data/scripts/run", "x"), ("a/__pycache__/b.pyc", "x")]
    part = make_part(tmp_path, "odd", b"", [*entries, *wheel])
    bring(launch, replace(made, parts=[part]))
    folder = prepared(home) / "parts" / part.name
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"odd/module.py", "odd/sub/other.py", "pure.py"}
    assert not list(home.rglob("out.py"))


def test_too_small_a_disk_is_told_before_anything_is_sent(launch, home, made, bring):
    huge = replace(made.parts[0], bytes=10**15)
    with pytest.raises(UserError) as caught:
        bring(launch, replace(made, parts=[huge]))
    assert "MB are free" in caught.value.found
    assert not list((prepared(home) / "arriving").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("workdir", ["it's", 'a"b', "$HOME", "ä/ö", "a;b", "-", "x" * 200])
def test_work_folders_of_any_name(launch, home, made, workdir, bring):
    bring(replace(launch, workdir=workdir), made)
    assert (home / workdir / "prepared" / "current").read_text() == made.name


def test_a_work_folder_behind_a_link(launch, home, made, bring):
    (home / "elsewhere").mkdir()
    (home / "w").symlink_to("elsewhere")
    bring(launch, made)
    assert (home / "elsewhere" / "prepared" / "current").read_text() == made.name


@pytest.mark.parametrize("place", ["w", "w/prepared", "w/prepared/parts", "w/prepared/current"])
def test_something_else_in_the_way_is_named(launch, home, made, place, bring):
    path = home / place
    if place.endswith("current"):
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a file")
    with pytest.raises(UserError) as caught:
        bring(launch, made)
    assert str(path) in caught.value.place
