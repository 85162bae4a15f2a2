"""What a run with several workers shows: lines that are drawn over on a terminal, next to none in a log."""

import io

import pytest
from paretune.profiles.precision import Precision
from paretune.reports.content.at_work import MOST, WorkersNow
from paretune.reports.terminal import console as shown
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, TrialRecord
from rich.console import Console

CANDIDATE = Candidate(backend="ort", precision=Precision.FP32)


def told(console: Console, count: int) -> None:
    with shown.ConsoleProgress(console) as progress:
        for number in range(count):
            progress.started(number, CANDIDATE)
            for epoch in range(20):
                progress.at_work(f"worker {number}", number, f"distill: epoch {epoch} of 20")
        progress.budget(3, 40, 12.0, None)
        progress.stage("")
        for number in range(count):
            failed = Evaluation(candidate=CANDIDATE, outcome=Outcome.FAILED, stage="compile", cause="no")
            progress.finished(TrialRecord(number=number, evaluation=failed, started=0.0, seconds=1.0))


def test_a_log_has_a_line_for_each_trial_and_none_for_what_is_at_work_within_the_minute():
    log = io.StringIO()
    told(Console(file=log, width=100), 3)
    assert log.getvalue().count("failed") == 3
    assert "worker" not in log.getvalue()


def test_a_log_tells_what_is_at_work_once_the_minute_is_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shown, "EACH_S", 0.0)
    log = io.StringIO()
    with shown.ConsoleProgress(Console(file=log, width=100)) as progress:
        progress.budget(3, 40, 12.0, None)
        progress.started(7, CANDIDATE)
        progress.at_work("worker 0", 7, "measure")
        progress.at_work("worker 0", None, "")  # an end is no news
    line = f"3/40 candidates, 12 s; 1 of 1 worker at work; worker 0: #7 {CANDIDATE.title}, measure"
    assert log.getvalue().split("\n") == [f"  {line}", ""]


def test_a_terminal_has_a_line_for_each_worker_within_its_width():
    work, screen = WorkersNow(), io.StringIO()
    for number in range(30):
        work.started(number, CANDIDATE)
        work.told(f"worker {number}", number, f"distill: epoch 1 of 20, {'loss ' * 20}", now=0.0)
    Console(file=screen, force_terminal=True, color_system=None, width=60).print(
        shown.WorkersDrawn("3/40 candidates", work)
    )
    lines = screen.getvalue().splitlines()
    assert len(lines) == 1 + MOST
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("3/40 candidates  30 of 30 workers at work, 30 train")
    assert lines[-2].startswith("worker 10  #10")
    assert "19 more" in lines[-1]
