"""How nights end that something has ended, and what is still written of them."""

import errno
import resource
import time
from dataclasses import replace

import pytest
from made_nights import a_night, checked, without_numbers
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.trouble import Trouble, UnreachableError
from paretune.profiles.errors import UserError
from paretune.profiles.files import says_full
from paretune.reports.nights.box import TimeBox
from paretune.reports.nights.ends import ended_by, judged
from paretune.reports.nights.nightly import nightly
from paretune.search.driver.budget import Budget, StopFlag
from paretune.search.nights.history import NightsFolder
from paretune.search.nights.night import NightStatus
from paretune.search.ranking.reading import read
from paretune.search.record.checks import CheckOutcome
from paretune.search.record.stops import DeviceGoneError

S = NightStatus


def unreachable(trouble):
    return UnreachableError(LocalLaunch(), trouble, found="x", remedy="y")


def full():
    try:
        raise OSError(errno.ENOSPC, "No space left on device", "study.db")
    except OSError as error:
        raise UserError("the storage fails") from error


@pytest.mark.parametrize(
    ("error", "over", "status"),
    [
        (unreachable(Trouble.SILENT), False, S.SKIPPED),
        (unreachable(Trouble.REFUSED), False, S.FAILED),
        (unreachable(Trouble.STRANGER), False, S.FAILED),
        (DeviceGoneError("gone"), False, S.SKIPPED),
        (KeyboardInterrupt(), True, S.UNFINISHED),
        (KeyboardInterrupt(), False, S.STOPPED),
        (UserError("wrong", place="study.yaml"), False, S.FAILED),
        (OSError(errno.ENOSPC, "No space left on device"), False, S.FAILED),
        (MemoryError(), False, S.FAILED),
        (ZeroDivisionError("x"), False, S.FAILED),
    ],
)
def test_what_ends_a_night_gives_it_a_defined_end(error, over, status):
    night = ended_by(error, without_numbers(3, S.FAILED, ""), over=over)
    assert night.status is status
    assert night.headline


def test_what_nobody_foresaw_keeps_its_traceback_and_what_users_mend_does_not():
    with pytest.raises(IndexError) as caught:
        _ = [][3]
    assert "IndexError" in ended_by(caught.value, without_numbers(3, S.FAILED, ""), over=False).log
    assert ended_by(UserError("wrong"), without_numbers(3, S.FAILED, ""), over=False).log == ""


def test_a_full_disk_is_told_from_what_came_of_it():
    with pytest.raises(UserError, match="storage") as caught:
        full()
    assert says_full(caught.value)
    night = ended_by(caught.value, without_numbers(3, S.FAILED, ""), over=False, full=True)
    assert "disk is full" in night.headline


def test_a_failed_check_alone_makes_a_regression(study, impossible):
    fine = a_night(3, regressed=checked("night 3", CheckOutcome.PASSED))
    assert judged(fine, read(study), accept=False).status is S.GOOD
    unclear = a_night(3, regressed=checked("night 3", CheckOutcome.INCONCLUSIVE))
    assert judged(unclear, read(study), accept=False).exit_code == 0
    bad = a_night(3, regressed=checked("night 3"))
    assert judged(bad, read(study), accept=False).exit_code == 2
    assert judged(bad, read(impossible), accept=False).exit_code == 2
    assert judged(fine, read(impossible), accept=False).exit_code == 3
    meant = judged(bad, read(study), accept=True)
    assert (meant.status, meant.accepted, meant.exit_code) == (S.GOOD, True, 0)


def test_the_verdict_of_a_regression_has_its_numbers(study):
    said = judged(a_night(3, regressed=checked("night 3")), read(study), accept=False).headline
    assert all(text in said for text in ("latency", "+12.4 %", "+3 %"))


def test_the_box_asks_for_a_stop_by_the_clock_that_nobody_sets():
    stop = StopFlag()
    with TimeBox(0.05, stop) as box:
        end = time.monotonic() + 100
        while not stop.requested and time.monotonic() < end:
            time.sleep(0.01)
    assert box.over
    assert stop.count == 1
    with TimeBox(60, StopFlag()) as box:
        pass
    assert not box.over


def test_a_session_ends_within_its_own_time_and_leaves_the_budget_to_the_next():
    now = [0.0]
    budget = Budget(trials=None, seconds=1000.0, within=100.0, clock=lambda: now[0])
    budget.start(300.0)
    now[0] = 60.0
    assert budget.seconds_left == 40.0
    now[0] = 100.0
    assert budget.exhausted(0)
    unlimited = Budget(trials=3, seconds=None, within=100.0, clock=lambda: now[0])
    unlimited.start(5000.0)
    assert unlimited.seconds_left == 100.0
    late = Budget(trials=None, seconds=310.0, within=100.0, clock=lambda: now[0])
    late.start(300.0)
    assert late.seconds_left == 10.0


def broken_study(folder):
    folder.mkdir(exist_ok=True)
    path = folder / "study.yaml"
    path.write_text("name: [")
    return path


def test_a_study_file_that_cannot_be_read_is_a_failed_night_with_a_page(tmp_path):
    study = broken_study(tmp_path / "a")
    done = nightly(study)
    assert (done.night.status, done.exit_code) == (S.FAILED, 1)
    assert "</html>" in (done.folder / "page.html").read_text()
    assert nightly(study).night.number == 2
    assert "night-0002" in (done.folder.parent / "index.html").read_text()


def test_where_no_large_file_can_be_written_the_night_is_kept_without_its_page(tmp_path):
    study = broken_study(tmp_path / "a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, before[1]))
    try:
        done = nightly(study)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {"night.json", "summary.md", "junit.xml"} <= {path.name for path in done.folder.iterdir()}
    assert not (done.folder / "page.html").exists()


def test_what_was_killed_is_entered_and_nights_without_an_answer_are_counted(tmp_path):
    study = broken_study(tmp_path / "a")
    folder = NightsFolder(study.parent / "nights" / "study")
    folder.path.mkdir(parents=True)
    for number, in_a_row in ((1, 2), (3, 0)):
        if in_a_row:
            folder.keep(replace(without_numbers(number, S.SKIPPED, "off"), in_a_row=in_a_row), {})
    folder.begin(2, "2026-11-29T02:00:00+00:00")
    done = nightly(study)
    killed = folder.read().of(2)
    assert (killed.status, killed.in_a_row) == (S.KILLED, 3)
    assert done.night.number == 3
    assert folder.under_way is None


def test_a_night_beside_another_leaves_no_trace(tmp_path):
    study = broken_study(tmp_path / "a")
    folder = NightsFolder(study.parent / "nights" / "study")
    with folder.at_work():
        folder.begin(1, "2026-11-29T02:00:00+00:00")
        done = nightly(study)
        assert (done.night.status, done.exit_code, done.folder) == (S.SKIPPED, 0, None)
        assert folder.under_way.number == 1
    assert folder.numbers() == ()


def test_a_clock_that_was_set_back_is_told_and_orders_nothing(tmp_path):
    study = broken_study(tmp_path / "a")
    folder = NightsFolder(study.parent / "nights" / "study")
    folder.path.mkdir(parents=True)
    folder.keep(a_night(1, began="2099-01-01T00:00:00+00:00"), {})
    done = nightly(study)
    assert done.night.number == 2
    assert any("2099" in remark for remark in done.night.remarks)
