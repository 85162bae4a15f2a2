"""What each of several workers does at this moment, as lines that stay readable however many there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from ...profiles.words import counted, duration
from ...search.record.candidate import Candidate
from ...search.record.training import TRAINING_STAGES
from .work_times import MEASURE, READY

MOST = 12
"""So many lines, however many workers there are."""
TRAINS, WAITS, QUEUED, BEGINS = "trains", "waits for a device", "waits for a worker", "gets ready"
_WAITING = "waiting for "
_TRAINING = ("teacher", *TRAINING_STAGES)


@dataclass(frozen=True, kw_only=True)
class Doing:
    """One worker: what it is at (empty: nothing), which stage of it, and since when that is so."""

    trial: int | None = None
    title: str = ""
    stage: str = ""
    since: float = 0.0

    @property
    def kind(self) -> str:
        """What is counted of it: the stage without how far it is."""
        head = (self.stage or self.title).partition(":")[0]
        if head.startswith(_WAITING):
            return WAITS
        if not self.stage and self.trial is not None:  # a measurement, of which its title was told so far
            return MEASURE
        return {**dict.fromkeys(_TRAINING, TRAINS), READY: BEGINS}.get(head, head)

    @property
    def shown(self) -> str:
        """ "distill: epoch 2 of 8"; how long it waits is told beside."""
        return self.stage.partition(":")[0] if self.kind == WAITS else self.stage


class WorkersNow:
    """Keeps what workers tell. Whoever draws may be another thread: each change replaces what there was."""

    def __init__(self) -> None:
        self._workers: dict[str, Doing] = {}
        self._titles: dict[int, str] = {}  # of trials that were handed out and have not ended
        self._ended: set[int] = set()

    @property
    def busy(self) -> int:
        """How many workers have something to do."""
        return sum(bool(one.title) for one in self._workers.values())

    def there(self, names: Collection[str], now: float) -> None:
        """Which workers are there: others are gone, with what they were at."""
        self._workers = {name: self._workers.get(name, Doing(since=now)) for name in names}

    def started(self, number: int, candidate: Candidate) -> None:
        """A trial was handed out."""
        self._titles = {**self._titles, number: f"#{number} {candidate.title}"}

    def finished(self, number: int) -> None:
        """A trial has ended."""
        self._titles = {one: title for one, title in self._titles.items() if one != number}
        self._ended.add(number)
        self._workers = {
            name: Doing(since=one.since) if one.trial == number else one
            for name, one in self._workers.items()
        }

    def told(self, worker: str, trial: int | None, stage: str, now: float) -> None:
        """What a worker is at, see `Progress.at_work`."""
        if trial in self._ended:  # it was said before the end, and came after it
            return
        before = self._workers.get(worker, Doing())
        if not stage:
            doing = Doing(since=now)
        elif trial is None or (trial < 0 and trial != before.trial):
            # No trial's: what it is told to be at first is what it is.
            doing = Doing(trial=trial, title=stage, since=now)
        else:
            title = before.title if trial < 0 else self._titles.get(trial, f"#{trial}")
            doing = Doing(trial=trial, title=title, stage=stage, since=now)
            if before.trial == trial and before.kind == doing.kind:
                doing = replace(doing, since=before.since)
        others = {name: one for name, one in self._workers.items() if not _lost(one, doing)}
        self._workers = {**others, worker: doing}

    def summary(self) -> str:
        """ "6 of 8 workers at work, 4 train, 1 waits for a device"."""
        kinds = Counter(one.kind for one in self._workers.values())
        given = {one.trial for one in self._workers.values()}
        begin = kinds[BEGINS]  # each of them for a task
        queued = max(sum(number not in given for number in self._titles) - begin, 0)
        parts = [f"{self.busy - begin} of {counted(len(self._workers), 'worker')} at work"]
        parts += [_many(kinds[TRAINS], TRAINS)] if kinds[TRAINS] else []
        parts += [_many(kinds[WAITS], WAITS)] if kinds[WAITS] else []
        parts += [_many(begin, BEGINS)] if begin else []
        parts += [_many(queued, QUEUED)] if queued else []
        return ", ".join(parts)

    def rows(self, now: float, most: int = MOST) -> list[tuple[str, str, str, str]]:
        """Of each worker its name, what it is at, which stage, and for how long; the last row counts those
        that are left out."""
        named = sorted(self._workers.items(), key=lambda one: in_order(one[0]))
        shown = named if len(named) <= most else named[: most - 1]
        rows = [(name, one.title or "idle", one.shown, _for(now - one.since)) for name, one in shown]
        if len(shown) < len(named):
            rest = Counter(one.kind or "idle" for _, one in named[len(shown) :])
            kinds = ", ".join(_many(count, kind) for kind, count in rest.most_common())
            rows.append((f"{len(named) - len(shown)} more", kinds, "", ""))
        return rows

    def line(self, most: int = MOST) -> str:
        """All of it in one line, for a log."""
        rows = [(name, what, stage) for name, what, stage, _ in self.rows(0.0, most)]
        each = "; ".join(f"{name}: {what}" + (f", {stage}" if stage else "") for name, what, stage in rows)
        return f"{self.summary()}; {each}"


def _lost(one: Doing, doing: Doing) -> bool:
    """Whether a worker's trial is another one's by now: it was lost."""
    return bool(one.title) and one.trial is not None and one.trial == doing.trial


def _many(count: int, does: str) -> str:
    """ "1 trains", "4 train", "4 idle"."""
    first, _, rest = does.partition(" ")
    word = first if count == 1 or does not in (TRAINS, WAITS, QUEUED, BEGINS) else first.removesuffix("s")
    return f"{count} {word} {rest}".rstrip()


def in_order(name: str) -> list[tuple[int, int, str]]:
    """ "worker 2" before "worker 10"."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _for(seconds: float) -> str:
    return duration(round(seconds)) if seconds >= 1 else ""
