"""What befalls a board in the middle of a measurement, through the command line: what is kept and told."""

import pytest
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow


def counters(bench, name):
    return open_run(bench.root / "runs" / name)[0].counters


def test_a_cut_line_and_a_full_disk_in_the_middle_of_measurements_cost_no_candidate(
    bench, board_study, native_board, strikes
):
    """The disk has space again when its owner has been told."""
    strikes.arm("fp32-run", "int8-run")
    told = []
    with bench.command("run", board_study("struck")) as study:
        with strikes.at("fp32-run"):
            native_board.cut()
        with strikes.at("int8-run"):
            native_board.fill_disk()
            native_board.kill_work()
        for line in study.stderr:
            told.append(line)
            if "no space is left on board" in line:
                native_board.free_disk()
        out, code = study.stdout.read(), study.wait(30)
    assert code == 0, (told, out)
    found = counters(bench, "struck")
    assert (found["complete"], found["failed"]) == (2, 0)
    assert sum("answers" in line for line in told) >= 2, told


def test_a_study_waits_for_the_board_and_has_it_when_its_owner_was_killed(
    bench, board_study, native_board, strikes
):
    strikes.arm("fp32-run")
    short = {"budget": {"trials": 1}}
    with bench.command("run", board_study("first", **short)) as first, strikes.at("fp32-run"):
        second = bench.command("run", board_study("second", **short))
        told = next(line for line in second.stderr if "waiting for" in line)
        assert "study first" in told
        first.kill()
    _, rest = second.communicate(timeout=120)
    assert second.returncode == 0, rest
    assert counters(bench, "second")["complete"] == 1
