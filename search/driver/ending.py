"""What follows a search: the best are checked on test, and what was stopped may be audited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..evaluation.finalists import choose_finalists
from ..gate.audit import choose_audited, judged
from ..ranking.known import trial_of
from ..ranking.ranking import rank
from ..record.evaluation import StudyRecord
from ..record.protocols import Standard, TrainEverything
from ..record.stops import DeviceGoneError, Interrupted
from .parts import DriverParts
from .reference import on_test

FINALIST_TURNS = 3
"""How often the next best are checked on test where none of those before holds its limits."""


_NO_MORE = "none of the finalists holds its limits on test, and no time was left to check the next best"


class Ending:
    """The last steps of one study. Each yields the record's frame whenever there is something to keep. `gone`
    is why the study ends in its middle, which it does where its device went away."""

    def __init__(self, parts: DriverParts) -> None:
        self.plan, self.evaluator, _, self.studies, self.budget, self.progress = parts
        self.gone: DeviceGoneError | None = None
        self.shortened: tuple[str, ...] = ()
        self.finalist_s: list[float] = []  # seconds that one of them took

    def remarks(self, *others: str) -> tuple[str, ...]:
        """What is to be said of the study, with what of its end was less than was asked for."""
        return tuple(dict.fromkeys((*others, *self.shortened)))

    def finalists(self, frame: StudyRecord) -> Iterator[StudyRecord]:
        """Check the best on test. Where none of them holds its limits there, the next best are checked."""
        chosen: tuple[int, ...] = ()
        took = 0.0
        for _ in range(FINALIST_TURNS):
            record = self.studies.unweighed()
            if not chosen:  # those of an earlier session stand back: the search may have gone on since
                record = replace(record, finalists=(), unconfirmed=())
            best = rank(record).best
            wanted = tuple(n for n in choose_finalists(record, self.plan.finalists) if n not in chosen)
            if not wanted or (best is not None and best.number in chosen):
                return
            if took > self.budget.seconds_left:
                self.shortened = (*self.shortened, _NO_MORE)
                return
            chosen += wanted
            began = self.budget.clock()
            doing = "" if frame.estimated else "measuring them against each other, "
            self.progress.note(f"{len(chosen)} finalists: {doing}scoring them on test")
            rounds, seed = self.plan.finalist_rounds, self.plan.seed
            found = self.evaluator.finalists(record, chosen, rounds=rounds, seed=seed)
            took = self.budget.clock() - began
            self.finalist_s.append(took / len(chosen))
            self.shortened = tuple(dict.fromkeys(one.shortened for one in found if one.shortened))
            for one in (f for f in found if f.failed):
                stand = "its earlier numbers stand" if one.agreement is None else "its numbers do not count"
                self.progress.note(f"finalist #{one.number} failed, {stand}: {one.failed}")
            frame = replace(
                frame,
                finalists=tuple(f for f in found if not f.failed),
                unconfirmed=tuple(f for f in found if f.failed),
                reference_on_test=on_test(self.evaluator, record),
            )
            yield frame

    def audit(self, frame: StudyRecord, share: float, standard: Standard) -> Iterator[StudyRecord]:
        """Train a share of what the gate stopped after all, to see whether it was right."""
        record = self.studies.unweighed()
        done = {audited.number: audited for audited in record.audit}
        for number in choose_audited(record, share, self.plan.seed):
            if number in done or self.budget.stop.requested:
                continue
            candidate = trial_of(record, number).evaluation.candidate
            self.progress.note(f"audit: #{number} is trained after all: {candidate.title}")
            try:
                evaluation = self.evaluator.evaluate(candidate, TrainEverything(standard))
            except Interrupted:
                return
            except DeviceGoneError as gone:
                self.gone = gone
                return
            done[number] = judged(record, number, evaluation)
            frame = replace(frame, audit=tuple(done[n] for n in sorted(done)))
            yield frame
