"""The work of one night: run or resume, check what is deployed and what was found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...profiles.errors import ParetuneError
from ...search.bundles.files import is_whole
from ...search.nights.changes import changes, source_diff
from ...search.nights.facts import (
    commits_between,
    facts_of_file,
    facts_of_job,
    facts_of_record,
    sources_at,
    sources_of_file,
)
from ...search.nights.history import BUNDLE, RUNS, SOURCES, NightHistory, NightsFolder
from ...search.nights.night import Night, NightFact
from ...search.ranking.known import known_metrics, trial_of
from ...search.ranking.reading import Reading
from ...search.record.progress import Progress
from ...search.run.budget import StopFlag
from ...search.run.nightly import nightly_job, run_night
from ..bundle.recommended import BUNDLE as RECOMMENDED
from ..results.written import written
from .ends import device_is_off, judged

CHECKS_SHARE, CHECKS_MOST_S = 0.2, 900.0
"""Of the night's time, what is kept for the checks that follow the study."""


@dataclass(frozen=True, kw_only=True)
class NightAsked:
    """What a night was asked, see `nightly`."""

    study: Path
    deployed: Path | None
    against: str
    tolerate: tuple[str, ...]
    within: float
    accept: bool


class Tonight:
    """A night at work. What it learns stands in `night` at once, so that a night that fails tells it too.
    `kept` are files beside its page, `bundle` what it recommends, `diff` what its code changed."""

    def __init__(
        self,
        asked: NightAsked,
        folder: NightsFolder,
        history: NightHistory,
        night: Night,
        progress: Progress,
        stop: StopFlag,
    ) -> None:
        self.asked, self.folder, self.history, self.night = asked, folder, history, night
        self.progress, self.stop = progress, stop
        self.kept: dict[str, str] = {}
        self.bundle: Path | None = None
        self.diff: Sequence[str] = ()
        self._end = time.monotonic() + asked.within

    def work(self) -> None:
        """Do it all.

        Raises:
            Exception: whatever ended it.
        """
        try:
            reading = self._run()
        except ParetuneError as error:
            if not device_is_off(error):
                self._verify()
            raise
        self._verify()
        self._regress()
        self.night = judged(self.night, reading, accept=self.asked.accept)

    # -- the study ----------------------------------------------------------------------------------

    def _run(self) -> Reading:
        self._learn(facts_of_file(self.asked.study), sources_of_file(self.asked.study))
        job = nightly_job(self.asked.study, self.folder.path / RUNS)
        self.night = replace(
            self.night, study=job.file.name, run=job.places.run_dir.name, profile=job.profile.name
        )
        self._learn(facts_of_job(job), {})
        left = self._end - time.monotonic()
        end = run_night(job, self.progress, self.stop, left - min(CHECKS_SHARE * left, CHECKS_MOST_S))
        self._learn((*facts_of_job(job), *facts_of_record(end.record)), {})
        done = written(end, f"paretune nightly {self.asked.study}")
        if end.gone is not None:
            raise end.gone
        if end.interrupted:
            raise KeyboardInterrupt
        self._answer(done.reading, end.places.run_dir)
        return done.reading

    def _learn(self, facts: Sequence[NightFact], sources: dict[str, str]) -> None:
        """Keep what may explain the numbers, and say what is other than in the night to compare with."""
        self.night = replace(self.night, facts=tuple(facts))
        self.kept |= {f"{SOURCES}/{name}": text for name, text in sources.items()}
        before = self.compared
        if before is None:
            return
        commits = commits_between(self.asked.study.resolve().parent, before, self.night)
        self.night = replace(
            self.night, baseline=before.number, changes=(*changes(before, self.night), *commits)
        )
        if sources:
            self.diff = source_diff(sources_at(self.folder.folder(before.number) / SOURCES), sources)

    @property
    def compared(self) -> Night | None:
        """The night that this one is compared with."""
        against = self.asked.against
        if against.isdigit():
            return self.history.of(int(against))
        answered = [night for night in self.history.nights if night.metrics]
        if against == "last":
            return answered[-1] if answered else None
        return self.history.last_good

    def _answer(self, reading: Reading, run_dir: Path) -> None:
        record, number = reading.record, reading.verdict.recommended
        self.night = replace(self.night, workload=record.workload, quality=record.quality, trial=number)
        if number is None or reading.recommended is None:
            return
        metrics, _ = known_metrics(record, number)
        told = {name: replace(quantity, by_sample=None) for name, quantity in metrics.items()}
        self.night = replace(
            self.night, metrics=told, candidate=trial_of(record, number).evaluation.candidate.title
        )
        if is_whole(run_dir / RECOMMENDED):
            self.bundle = run_dir / RECOMMENDED

    # -- checks -------------------------------------------------------------------------------------

    @property
    def deployed(self) -> Path | None:
        """The bundle that is deployed: the one that was named, or that of the last good night."""
        good = self.history.last_good
        if self.asked.deployed is not None or good is None:
            return self.asked.deployed
        bundle = self.folder.folder(good.number) / BUNDLE
        return bundle if bundle.is_dir() else None

    def _verify(self) -> None:
        """Check what is deployed."""

    def _regress(self) -> None:
        """Check what was found."""
