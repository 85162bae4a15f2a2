"""What several workers do, in lines that stay few."""

from paretune.profiles.precision import Precision
from paretune.reports.content.at_work import MOST, WorkersNow
from paretune.search.record.candidate import Candidate

CANDIDATE = Candidate(backend="ort", precision=Precision.FP32)


def two_at_work() -> WorkersNow:
    work = WorkersNow()
    for number in (7, 8):
        work.started(number, CANDIDATE)
        work.told(f"worker {number - 7}", number, "distill: epoch 1 of 8", now=10.0)
    return work


def test_each_worker_has_a_line_with_what_it_is_at_and_for_how_long():
    work = two_at_work()
    work.told("worker 0", 7, "distill: epoch 2 of 8", now=20.0)
    work.told("worker 1", 8, "waiting for pi-1: anna measures there, for 3 s now", now=20.0)
    assert work.rows(now=100.0) == [
        ("worker 0", f"#7 {CANDIDATE.title}", "distill: epoch 2 of 8", "1 min 30 s"),
        ("worker 1", f"#8 {CANDIDATE.title}", "waiting for pi-1", "1 min 20 s"),
    ]
    assert work.summary() == "2 of 2 workers at work, 1 trains, 1 waits for a device"


def test_a_worker_whose_trial_has_ended_is_idle_also_where_it_is_told_late():
    work = two_at_work()
    work.finished(7)
    work.told("worker 0", 7, "score", now=11.0)
    assert work.rows(now=10.0)[0] == ("worker 0", "idle", "", "")
    assert work.busy == 1


def test_a_trial_of_a_lost_worker_is_the_next_ones():
    work = two_at_work()
    work.told("worker 2", 7, "distill: epoch 3 of 8", now=30.0)
    assert [row[0] for row in work.rows(now=30.0)] == ["worker 1", "worker 2"]


def test_a_network_without_a_trial_is_called_by_what_is_told_first():
    work = WorkersNow()
    for stage in ("measuring width=4, fp32, ort with untrained weights", "compile", "measure"):
        work.told("worker 0", -3, stage, now=5.0)
    assert work.rows(now=5.0) == [
        ("worker 0", "measuring width=4, fp32, ort with untrained weights", "measure", "")
    ]
    work.told("worker 0", None, "", now=6.0)
    assert work.busy == 0


def test_what_no_worker_has_begun_waits():
    work = WorkersNow()
    work.started(1, CANDIDATE)
    assert work.summary() == "0 of 0 workers at work, 1 waits for a worker"


def test_sixty_four_workers_have_a_dozen_lines_in_their_order():
    work = WorkersNow()
    for number in range(64):
        work.started(number, CANDIDATE)
        work.told(f"worker {number}", number, "measure" if number > 60 else "distill: epoch 1 of 8", now=0.0)
    rows = work.rows(now=0.0)
    assert len(rows) == MOST
    assert [row[0] for row in rows[:-1]] == [f"worker {number}" for number in range(MOST - 1)]
    assert rows[-1] == ("53 more", "50 train, 3 measure", "", "")


def test_workers_that_start_are_not_idle_nor_at_work():
    work = WorkersNow()
    for number in range(64):
        work.started(number, CANDIDATE)
        work.told(f"worker {number}", None, "getting ready", now=0.0)
    work.told("worker 63", -1, "measuring width=4, fp32, ort with untrained weights", now=0.0)
    assert work.summary() == "1 of 64 workers at work, 63 get ready, 1 waits for a worker"
    assert work.rows(now=0.0)[-1] == ("53 more", "52 get ready, 1 measure", "", "")


def test_workers_that_are_gone_have_no_line_and_new_ones_are_idle():
    work = two_at_work()
    work.told("worker 1", None, "getting ready", now=11.0)
    work.there(["worker 0", "worker 2"], now=20.0)
    assert [row[:2] for row in work.rows(now=20.0)] == [
        ("worker 0", f"#7 {CANDIDATE.title}"),
        ("worker 2", "idle"),
    ]
    assert work.summary() == "1 of 2 workers at work, 1 trains, 1 waits for a worker"
