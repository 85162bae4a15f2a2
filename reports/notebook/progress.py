"""How far a run is, in the cell of a notebook: a few lines that are written over."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Collection
from html import escape
from importlib import import_module
from typing import Any

from ...profiles.words import duration, printable
from ...search.record.candidate import Candidate
from ...search.record.evaluation import TrialRecord
from ...search.record.metrics import metric_info
from ...search.record.progress import Progress
from ..content.at_work import WorkersNow

_LINES, _LEAST_S = 8, 0.25
_SHOWN = ("latency_ms", "size_bytes")


def in_notebook() -> bool:
    """Whether this process is the kernel of one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class NotebookProgress(Progress):
    """Shows the last lines; when it is over, one line stays."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._began = time.monotonic()
        self._title, self._stage, self._used, self._ended = "", "", "", 0
        self._drawn, self._display = 0.0, None  # type: float, Any
        self._work = WorkersNow()

    def __enter__(self) -> NotebookProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is None:  # it took no time worth telling
            return
        took = duration(round(time.monotonic() - self._began))
        self._draw(f"{self._ended} candidates, {took}" if self._ended else took, ())

    def note(self, text: str) -> None:
        """Something worth one line."""
        self._lines.append(text)
        self._show(now=True)

    def started(self, number: int, candidate: Candidate) -> None:
        """A trial starts."""
        self._title, self._stage = f"#{number} {candidate.title}", ""
        self._work.started(number, candidate)
        self._show()

    def stage(self, name: str) -> None:
        """A stage starts."""
        self._stage = name
        self._show()

    def at_work(self, worker: str, trial: int | None, stage: str) -> None:
        """What one of several workers is doing."""
        self._work.told(worker, trial, stage, time.monotonic())
        self._show()

    def workers(self, names: Collection[str]) -> None:
        """Which workers are there."""
        self._work.there(names, time.monotonic())
        self._show()

    def finished(self, record: TrialRecord) -> None:
        """A trial has ended."""
        self._work.finished(record.number)
        evaluation = record.evaluation
        known = evaluation.metrics or evaluation.gate
        numbers = [metric_info(name).format(known[name].value) for name in _SHOWN if name in known]
        shown = (f"#{record.number}", evaluation.outcome.value, *numbers, evaluation.candidate.title)
        self._ended += 1
        self._lines.append("  ".join(shown))
        self._show(now=True)

    def budget(self, evaluated: int, trials: int | None, elapsed: float, seconds: float | None) -> None:
        """How much of the budget is used."""
        of = f"{evaluated} of {trials} candidates" if trials else f"{evaluated} candidates"
        self._used = f"{of}, {duration(round(elapsed))}" + (f" of {duration(seconds)}" if seconds else "")

    def _show(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._drawn >= _LEAST_S:
            several = self._work.busy > 0
            doing = (self._work.summary(),) if several else (self._title, self._stage)
            status = "  ".join(part for part in (self._used, *doing) if part)
            rows = self._work.rows(time.monotonic(), _LINES) if several else []
            each = ["  ".join(cell for cell in row if cell) for row in rows]
            self._draw("\n".join((status, *each)), self._lines)

    def _draw(self, status: str, lines: Any) -> None:
        # A notebook has it, nothing else needs it.
        screen: Any = import_module("IPython.display")
        text = "\n".join(printable(line, 200) for line in (*lines, *status.split("\n")) if line)
        shown = screen.HTML(f'<pre style="opacity:.8; margin:0">{escape(text)}</pre>')
        self._drawn = time.monotonic()
        if self._display is None:
            self._display = screen.display(shown, display_id=True)
        else:
            self._display.update(shown)
