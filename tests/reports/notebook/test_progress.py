"""How far a run is, in the cell of a notebook: one display that is written over."""

import html

import pytest
from paretune.profiles.precision import Precision
from paretune.reports.notebook import progress as shown
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, TrialRecord

CANDIDATE = Candidate(backend="ort", precision=Precision.FP32)


class Screen:
    """IPython's part of it."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def HTML(self, text: str) -> str:
        return html.unescape(text)

    def display(self, text: str, *, display_id: bool) -> "Screen":
        self.update(text)
        return self

    def update(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    found = Screen()
    monkeypatch.setattr(shown, "import_module", lambda name: found)
    monkeypatch.setattr(shown, "_LEAST_S", 0.0)
    return found


def test_several_workers_have_a_line_each_until_they_are_idle(screen: Screen):
    with shown.NotebookProgress() as progress:
        progress.budget(3, 40, 12.0, None)
        for number in (7, 8):
            progress.started(number, CANDIDATE)
            progress.at_work(f"worker {number - 7}", number, "distill: epoch 1 of 8")
        lines = screen.texts[-1].split("\n")
        assert "3 of 40 candidates, 12 s  2 of 2 workers at work, 2 train" in lines[0]
        assert lines[1].startswith(f"worker 0  #7 {CANDIDATE.title}  distill: epoch 1 of 8")
        assert lines[2].startswith(f"worker 1  #8 {CANDIDATE.title}")
        for number in (7, 8):
            failed = Evaluation(candidate=CANDIDATE, outcome=Outcome.FAILED, stage="compile", cause="no")
            progress.finished(TrialRecord(number=number, evaluation=failed, started=0.0, seconds=1.0))
        assert "worker" not in screen.texts[-1]
    assert "2 candidates" in screen.texts[-1]
