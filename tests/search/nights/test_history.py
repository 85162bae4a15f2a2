"""The folder of a nightly job: whole nights or none, one at a time, whatever befell the one before."""

import os
import signal
import subprocess
import sys
import time

import pytest
from paretune.profiles.errors import UserError
from paretune.search.nights.history import NIGHT_FILE, RUNS, NightHistory, NightsFolder
from paretune.search.nights.night import Night, NightStatus
from paretune.search.nights.retention import thin


def night(number, status=NightStatus.GOOD, **changed):
    return Night(number=number, status=status, headline="x", run=f"run-{number}", **changed)


@pytest.fixture
def folder(tmp_path):
    return NightsFolder(tmp_path / "nights")


def keep(folder, *nights):
    folder.path.mkdir(exist_ok=True)
    for one in nights:
        folder.keep(one, {"page.html": "p" * 1000, "code/blobs.py": "x = 1\n"})
        (folder.path / RUNS / one.run).mkdir(parents=True, exist_ok=True)


def test_nights_are_read_back_in_the_order_of_their_numbers_whatever_the_clock_said(folder):
    keep(folder, night(2, began="2020-01-01T00:00:00+00:00"), night(1, began="2026-01-01T00:00:00+00:00"))
    assert [one.number for one in folder.read().nights] == [1, 2]
    assert folder.read().last == night(2, began="2020-01-01T00:00:00+00:00")


@pytest.mark.parametrize("content", [b"", b"{", b'{"number": 2}', b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_damaged_night_costs_itself_alone_and_its_number_is_not_given_again(folder, content):
    keep(folder, night(1), night(2), night(3))
    (folder.folder(2) / NIGHT_FILE).write_bytes(content)
    found = folder.read()
    assert [one.number for one in found.nights] == [1, 3]
    assert found.damaged == (2,)
    (folder.folder(3) / NIGHT_FILE).unlink()
    assert folder.numbers()[-1] == 3


def test_a_night_that_was_copied_over_another_is_none(folder):
    keep(folder, night(1), night(2))
    (folder.folder(2) / NIGHT_FILE).write_bytes((folder.folder(1) / NIGHT_FILE).read_bytes())
    assert folder.read().damaged == (2,)


def test_the_last_good_night_is_the_last_that_found_nothing_wrong():
    history = NightHistory(
        nights=(night(1), night(2), night(3, NightStatus.REGRESSED), night(4, NightStatus.SKIPPED))
    )
    assert history.last_good == night(2)
    assert NightHistory().last_good is None


def test_old_nights_keep_their_record_alone_and_runs_of_none_go(folder):
    keep(
        folder,
        *(night(number, NightStatus.REGRESSED if number > 2 else NightStatus.GOOD) for number in range(1, 7)),
    )
    before = folder.read()
    assert thin(folder, before, 2) > 3 * 1000
    after = folder.read()
    assert after.pages == {2, 5, 6}  # the last good one stays, since later ones are compared with it
    assert after.nights == before.nights
    assert sorted(path.name for path in (folder.path / RUNS).iterdir()) == ["run-2", "run-5", "run-6"]
    assert thin(folder, before, 2) == 0


HOLDER = """
import sys, time
from pathlib import Path
from paretune.search.nights.history import NightsFolder
folder = NightsFolder(Path(sys.argv[1]))
with folder.at_work() as free:
    folder.begin(7, "2026-11-29T02:00:00+00:00")
    print(free, flush=True)
    time.sleep(60)
"""


@pytest.mark.slow  # starts a process
def test_never_two_and_what_was_killed_is_known(folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline().strip() == "True"
        with folder.at_work() as free:
            assert not free
        assert folder.under_way.pid == holder.pid
        began = time.monotonic()
        with folder.at_work(0.3) as free:
            assert not free
        assert time.monotonic() - began >= 0.3
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with folder.at_work() as free:
        assert free
        assert folder.under_way.number == 7
        folder.ended()
    assert folder.under_way is None


@pytest.mark.parametrize("content", ["", "[]", '{"number": "7"}', '{"number": -1}', '{"number": true}'])
def test_a_torn_note_of_a_night_under_way_is_none(folder, content):
    folder.path.mkdir()
    (folder.path / "under-way.json").write_text(content)
    assert folder.under_way is None


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot be written"),
        NightsFolder(tmp_path / "file" / "nights").at_work(),
    ):
        pass


def test_the_run_that_was_at_work_last_stays_though_no_night_tells_of_it(folder):
    keep(folder, night(1), night(2))
    for name in ("killed-long-ago", "killed"):
        (folder.path / RUNS / name).mkdir()
        (folder.path / RUNS / name / "study.db").write_text(name)
    os.utime(folder.path / RUNS / "killed-long-ago" / "study.db", (1, 1))
    os.utime(folder.path / RUNS / "killed-long-ago", (1, 1))
    thin(folder, folder.read(), 2)
    assert {path.name for path in (folder.path / RUNS).iterdir()} == {"run-1", "run-2", "killed"}
