"""Progress of a run on a terminal or in a log: a line per candidate, the stage at hand, the best so far."""

from __future__ import annotations

import time
from collections.abc import Collection

from rich.console import Console, Group
from rich.status import Status
from rich.table import Table
from rich.text import Text

from ...profiles.words import printable
from ...search.record.candidate import Candidate
from ...search.record.evaluation import Evaluation, Outcome, Quantity, TrialRecord
from ...search.record.metrics import HARDWARE_METRICS, metric_info
from ...search.record.progress import Progress
from ..content.at_work import WorkersNow
from ..content.views import why

EACH_S = 60.0
"""So often a log that nobody watches tells what several workers are at."""
_STYLES = {
    Outcome.COMPLETE: "green",
    Outcome.GATED: "yellow",
    Outcome.REFUSED: "magenta",
    Outcome.FAILED: "red",
}


class ConsoleProgress(Progress):
    """Writes to stderr, so that stdout holds results alone. `quality` is the workload's metric."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status: Status | None = None
        self._title = ""
        self._used = ""
        self._best: TrialRecord | None = None
        self._work = WorkersNow()
        self._told_work = time.monotonic()  # when a log was last told of it

    def __enter__(self) -> ConsoleProgress:
        self._status = self.console.status("starting")
        if self.console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def note(self, text: str) -> None:
        self.console.print(Text(f"  {text}", style="dim"), soft_wrap=True)

    def started(self, number: int, candidate: Candidate) -> None:
        self._title = f"#{number} {candidate.title}"
        self._work.started(number, candidate)
        self._show("")

    def stage(self, name: str) -> None:
        self._show(name)

    def at_work(self, worker: str, trial: int | None, stage: str) -> None:
        now = time.monotonic()
        self._work.told(worker, trial, stage, now)
        if self.console.is_terminal:
            self._show("")
        elif stage and now - self._told_work >= EACH_S:
            self._told_work = now
            self.note("; ".join(filter(None, (self._used, self._work.line()))))

    def workers(self, names: Collection[str]) -> None:
        self._work.there(names, time.monotonic())
        if self.console.is_terminal:
            self._show("")

    def finished(self, record: TrialRecord) -> None:
        self._work.finished(record.number)
        evaluation = record.evaluation
        line = Text(f"{record.number:4d}  ")
        line.append(f"{evaluation.outcome.value:<9}", style=_STYLES[evaluation.outcome])
        numbers, reason = _numbers(evaluation), why(record)
        line.append(f"{numbers:<28} {evaluation.candidate.title}")
        if evaluation.baseline:
            line.append("  (simple choice)", style="dim")
        self.console.print(line, soft_wrap=True, crop=False, overflow="ignore")
        if reason:
            wrong = evaluation.agreement is not None and not evaluation.agreement.agrees
            style = "bold red" if wrong else "dim"
            self.console.print(Text(f"      {reason}", style=style), soft_wrap=True)
        if evaluation.feasible and _is_better(record, self._best):
            self._best = record
            self.console.print(f"      fastest so far within the limits: #{record.number}", style="cyan")

    def budget(self, evaluated: int, trials: int | None, elapsed: float, seconds: float | None) -> None:
        parts = [f"{evaluated}/{trials} candidates" if trials else f"{evaluated} candidates"]
        parts.append(f"{elapsed:.0f}/{seconds:.0f} s" if seconds else f"{elapsed:.0f} s")
        self._used = ", ".join(parts)

    def _show(self, stage: str) -> None:
        if self._status is None:
            return
        if self._work.busy:
            self._status.update(WorkersDrawn(self._used, self._work))
        else:
            shown = "  ".join(part for part in (self._used, self._title, stage) if part)
            self._status.update(Text(printable(shown)))


class WorkersDrawn:
    """A line for each worker, with how long it is at it by now: made anew whenever it is drawn."""

    def __init__(self, used: str, work: WorkersNow) -> None:
        self._used, self._work = used, work

    def __rich__(self) -> Group:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()  # where a terminal is narrow, these two are cut
        table.add_column(style="dim")
        table.add_column(style="dim", no_wrap=True, justify="right")
        for row in self._work.rows(time.monotonic()):
            table.add_row(*(Text(printable(cell), no_wrap=True, overflow="ellipsis") for cell in row))
        summary = Text(printable("  ".join(filter(None, (self._used, self._work.summary())))))
        return Group(summary, table)


def _is_better(record: TrialRecord, best: TrialRecord | None) -> bool:
    if best is None:
        return True
    now, before = record.evaluation.metrics, best.evaluation.metrics
    return now["latency_ms"].value < before["latency_ms"].value


def _numbers(evaluation: Evaluation) -> str:
    """Quality, latency and size as far as they are known."""
    shown = evaluation.metrics or evaluation.gate
    quality = [name for name in shown if name not in evaluation.gate and name not in HARDWARE_METRICS]
    names = [*quality[:1], "latency_ms", "size_bytes"]
    return "  ".join(_number(name, shown[name]) for name in names if name in shown)


def _number(name: str, quantity: Quantity) -> str:
    """ "1.2 ms", "~1.2 ms" where it is an estimate."""
    return ("~" if quantity.is_estimate else "") + metric_info(name).format(quantity.value)
