"""Who watches a call: nobody in a script, its cell in a notebook."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ...profiles.errors import UserError
from ...search.driver.budget import StopFlag, catch_interrupts
from ...search.record.progress import Progress
from ...search.record.stops import Interrupted
from ..notebook.progress import NotebookProgress, in_notebook
from ..terminal.console import ConsoleProgress
from ..terminal.output import console
from ..terminal.session_words import STOPPING

Watching = Progress | bool | None
"""Who is told how far it is: None a notebook's cell, True a terminal too, False nobody, or one's own."""


@contextmanager
def watched_by(progress: Watching) -> Iterator[Progress]:
    """Whoever is meant."""
    if isinstance(progress, Progress):
        yield progress
    elif progress is False or (progress is None and not in_notebook()):
        yield Progress()
    elif in_notebook():
        with NotebookProgress() as shown:
            yield shown
    else:
        with ConsoleProgress(console(stderr=True)) as told:
            yield told


@contextmanager
def stopped_softly(progress: Progress) -> Iterator[StopFlag]:
    """A flag that Ctrl-C, or a notebook's stop button, sets: the stage at hand is finished, and all is kept.
    Signals reach the main thread alone; elsewhere the flag stays as it is.

    Raises:
        KeyboardInterrupt: a stop was asked for before the search began.
        UserError: its time was used up before that.
    """
    stop = StopFlag()
    try:
        if threading.current_thread() is not threading.main_thread():
            yield stop
            return
        with catch_interrupts(stop, lambda count: progress.note(STOPPING[min(count, 3) - 1])):
            yield stop
    except Interrupted as stopped:  # in a wait for others, before the search began
        if stop.requested:
            raise KeyboardInterrupt from stopped
        remedy = "run again, or raise `budget: {time: ...}`: what was made is kept"
        raise UserError(stopped.why, place="budget.time", remedy=remedy) from stopped
