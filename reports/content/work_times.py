"""What each of several workers did when, from the records of the trials alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...search.record.agreement import STAGE as AGREE
from ...search.record.evaluation import StudyRecord, TrialRecord
from ...search.record.training import TRAINING_STAGES, TUNE
from ...search.record.where import MeasuredAhead
from .trainings import own_trials

TRAINING, BUILDING, MEASURING = "training", "export, compile", "measuring"
SCORING, WAITING, OTHER, READY = "scoring", "waiting", "other", "getting ready"
KINDS = (TRAINING, BUILDING, MEASURING, SCORING, WAITING, OTHER, READY)
MEASURE = "measure"
_KIND_OF = {
    **dict.fromkeys(("teacher", "soft-targets", *TRAINING_STAGES), TRAINING),
    **dict.fromkeys(("export", "make", "compile", TUNE), BUILDING),
    **dict.fromkeys((MEASURE, "spread", "energy", "load", "memory", "runtime", "placement"), MEASURING),
    **dict.fromkeys(("score", AGREE, "here", "samples"), SCORING),
}
_BETWEEN_S = 60.0
"""Where nobody was at work for longer, one session ended and another began later."""
_LEAST_S = 1e-3


@dataclass(frozen=True, kw_only=True)
class Stint:
    """What one worker did in one go, from `started` to `ended` (seconds since the epoch): a trial, or a
    network measured with untrained weights (`number` is None). It was `handed_out` before, where the worker
    had to make itself ready first, or another one was lost in it. `device` measured it (empty: there is but
    one), for which it `waited`; `stages` has the seconds of what was done now."""

    worker: str
    number: int | None
    title: str
    handed_out: float
    started: float
    ended: float
    waited: float
    device: str
    stages: tuple[tuple[str, float], ...]

    @property
    def seconds(self) -> float:
        """How long it took, since it was handed out."""
        return self.ended - self.handed_out


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a task of one kind."""

    task: Stint
    kind: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


def tasks(record: StudyRecord) -> tuple[Stint, ...]:
    """All that workers did, in the order in which it was begun."""
    free = dict[str, float]()
    found = list[Stint]()
    for task in sorted(_tasks(record), key=lambda task: task.started):
        # What was another one's before a worker got it took none of its time.
        since = max(task.handed_out, free.get(task.worker, task.handed_out))
        found.append(replace(task, handed_out=min(since, task.started)))
        free[task.worker] = task.ended
    return tuple(found)


def _tasks(record: StudyRecord) -> Iterator[Stint]:
    for trial in own_trials(record):
        where = trial.evaluation.where
        if where is not None and where.worker:
            yield _of_trial(trial)
        for ahead in where.ahead if where is not None else ():
            yield _of_measured(ahead)


def _of_trial(trial: TrialRecord) -> Stint:
    where, evaluation = trial.evaluation.where, trial.evaluation
    assert where is not None
    ended = trial.started + trial.seconds
    done = {stage.key: stage for stage in evaluation.stages if not stage.cached}
    return Stint(
        worker=where.worker,
        number=trial.number,
        title=f"#{trial.number} {evaluation.candidate.title}",
        handed_out=trial.started,
        started=ended - where.seconds,
        ended=ended,
        waited=where.waited,
        device=where.device,
        stages=tuple((stage.name, stage.seconds) for stage in done.values()),
    )


def _of_measured(ahead: MeasuredAhead) -> Stint:
    return Stint(
        worker=ahead.worker,
        number=None,
        title="a network with untrained weights",
        handed_out=ahead.started,
        started=ahead.started,
        ended=ahead.started + ahead.seconds,
        waited=ahead.waited,
        device=ahead.device,
        stages=tuple(ahead.stages.items()),
    )


def kind_of(stage: str) -> str:
    """Which of `KINDS` a stage is."""
    return _KIND_OF.get(stage, OTHER)


def pieces(task: Stint) -> tuple[Piece, ...]:
    """Its parts in order. It is known how long it waited, and taken to have done so before it measured; what
    was between stages is taken to have been at the end."""
    parts = [(kind_of(name), seconds) for name, seconds in task.stages]
    first = next((place for place, (kind, _) in enumerate(parts) if kind == MEASURING), len(parts))
    parts.insert(first, (WAITING, task.waited))
    parts.append((OTHER, task.ended - task.started - sum(seconds for _, seconds in parts)))
    found, at = list[Piece](), task.handed_out
    for kind, seconds in ((READY, task.started - task.handed_out), *parts):
        end = min(at + seconds, task.ended)
        if end - at > _LEAST_S:
            found.append(Piece(task=task, kind=kind, start=at, end=end))
            at = end
    return tuple(found)


@dataclass(frozen=True)
class Sessions:
    """When somebody was at work: (start, end) of each session."""

    spans: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        """All of them together."""
        return sum(end - start for start, end in self.spans)

    def since_start(self, moment: float) -> float:
        """Seconds of the sessions up to a moment: what lies between two of them is left out."""
        return sum(min(end, moment) - start for start, end in self.spans if start < moment)


def sessions(done: Iterable[Stint]) -> Sessions:
    """From when the first task was handed out until the last one ended, each time that the study was run."""
    spans = list[tuple[float, float]]()
    for start, end in sorted((task.handed_out, task.ended) for task in done):
        if spans and start - spans[-1][1] <= _BETWEEN_S:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return Sessions(tuple(spans))


def present(done: Sequence[Stint]) -> Mapping[str, float]:
    """For how long each worker was there, in seconds by name: in every session from its first task on until
    the end, or until its own last one, where another began later for the first time. That one is taken to
    have come in its place: a worker that starts anew may have another name."""
    found = defaultdict[str, float](float)
    for start, end in sessions(done).spans:
        first, last = dict[str, float](), dict[str, float]()
        for task in (task for task in done if start <= task.handed_out <= end):
            first[task.worker] = min(first.get(task.worker, end), task.handed_out)
            last[task.worker] = max(last.get(task.worker, start), task.ended)
        newest = max(first.values())
        for name in first:
            found[name] += (last[name] if last[name] <= newest else end) - first[name]
    return found


def by_kind(done: Sequence[Stint]) -> Mapping[str, float]:
    """Seconds of each kind."""
    found = dict.fromkeys(KINDS, 0.0)
    for piece in (piece for task in done for piece in pieces(task)):
        found[piece.kind] += piece.seconds
    return found
