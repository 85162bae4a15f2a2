"""The work of one night: run or resume, check what is deployed and what was found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ...profiles.errors import ParetuneError, UserError
from ...search.bundles.bundle import read_bundle
from ...search.bundles.files import is_whole
from ...search.checks.tolerances import Tolerances, read_tolerances
from ...search.cluster.run import workers_of
from ...search.driver.budget import StopFlag
from ...search.job.study_file import load_study_file
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
from ...search.nights.night import Night, NightFact, NightStatus
from ...search.ranking.known import known_metrics, trial_of
from ...search.ranking.reading import Reading
from ...search.record.progress import Progress
from ...search.regress.baseline import BASELINE, Baseline, baseline_of
from ...search.regress.compare import regressed
from ...search.regress.regress import check_comparable
from ...search.regress.sources import BASELINE_FILE, from_file, read_baseline
from ...search.run.nightly import nightly_job, run_night
from ...search.verify.verify import verify
from ..bundle.recommended import BUNDLE as RECOMMENDED
from ..results.written import written
from .drift import drifted, first_baseline
from .ends import device_is_off, judged

GOOD, LAST = NAMED = ("good", "last")
"""Nights by what they are, for `against`."""
CHECKS_SHARE, CHECKS_MOST_S = 0.2, 900.0
"""Of the night's time, what is kept for the checks that follow the study."""


@dataclass(frozen=True, kw_only=True)
class NightAsked:
    """What a night was asked, see `nightly`. `end` is its hard end by the monotonic clock."""

    study: Path
    deployed: Path | None
    against: str
    tolerate: tuple[str, ...]
    end: float
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
        self._tolerances = Tolerances()
        self._before: Night | None = None
        self._then: Baseline | None = None
        self.store: Path | None = None

    def work(self) -> None:
        """Do it all.

        Raises:
            Exception: whatever ended it.
        """
        if self.asked.deployed is not None:
            read_bundle(self.asked.deployed)
        self._before, self._then = self._comparable()
        try:
            reading = self._run()
        except ParetuneError as error:
            if not device_is_off(error):
                with suppress(ParetuneError):  # the first one is told
                    self._verify()
            raise
        self._verify()
        self._regress(reading)
        self.night = judged(self.night, reading, accept=self.asked.accept)

    # -- the study ----------------------------------------------------------------------------------

    def _run(self) -> Reading:
        self.night = replace(self.night, study=load_study_file(self.asked.study).name)
        self._learn(facts_of_file(self.asked.study), sources_of_file(self.asked.study))
        job = nightly_job(self.asked.study, self.folder.path / RUNS)
        self.night = replace(self.night, run=job.places.run_dir.name, profile=job.profile.name)
        self._tolerances = read_tolerances(self.asked.tolerate, job.quality)
        self.store = job.places.store
        self._learn(facts_of_job(job), {})
        left = self.asked.end - time.monotonic()
        within = left - min(CHECKS_SHARE * left, CHECKS_MOST_S)
        workers = workers_of(job.file.workers, job.places.storage, job.file.name)
        end = run_night(job, self.progress, self.stop, within, workers)
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
        before = self._before
        if before is None:
            return
        commits = commits_between(self.asked.study.resolve().parent, before, self.night)
        self.night = replace(
            self.night, baseline=before.number, changes=(*changes(before, self.night), *commits)
        )
        if sources:
            self.diff = source_diff(sources_at(self.folder.folder(before.number) / SOURCES), sources)

    def _comparable(self) -> tuple[Night | None, Baseline | None]:
        """What this night is compared with, and the night that it is of; nothing for the first night. Nights
        whose numbers are damaged are passed over."""
        against = self.asked.against
        if against not in NAMED and not against.isdigit():
            return None, read_baseline(Path(against))
        if against.isdigit():
            night = self.history.of(int(against)) or self._unknown_night()
            return night, from_file(self.folder.folder(night.number) / BASELINE_FILE)
        for night in reversed(self.history.nights):
            file = self.folder.folder(night.number) / BASELINE_FILE
            if file.is_file() and (against == LAST or night.status is NightStatus.GOOD):
                try:
                    return night, from_file(file)
                except UserError as error:
                    self._remark(f"the numbers of night {night.number} cannot be read: {error.problem}")
        return None, None

    def _remark(self, text: str) -> None:
        self.night = replace(self.night, remarks=(*self.night.remarks, text))

    def _unknown_night(self) -> Night:
        raise UserError(
            "no such night",
            place="--against",
            found=self.asked.against,
            accepted=f"{GOOD}, {LAST}, the number of a night that can be read, a run, or a bundle",
        )

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

    def _deployed(self) -> Path | None:
        """The bundle that is deployed: the one that was named, or that of the last good night of which it is
        whole. That our own copy is damaged says nothing of the one that was deployed."""
        if self.asked.deployed is not None:
            return self.asked.deployed
        for night in reversed(self.history.nights):
            bundle = self.folder.folder(night.number) / BUNDLE
            if night.status is NightStatus.GOOD and bundle.is_dir():
                if is_whole(bundle):
                    return bundle
                self._remark(
                    f"the bundle that is kept of night {night.number} is damaged, and is passed over"
                )
        return None

    def _verify(self) -> None:
        """Check what is deployed, on the study's device."""
        bundle = self._deployed()
        if bundle is None:
            return
        study = self.asked.study
        named = load_study_file(study).profile
        beside = study.resolve().parent / named
        profile = str(beside) if beside.is_file() else named
        found = verify(bundle, profile, tolerate=self.asked.tolerate, progress=self.progress)
        self.night = replace(self.night, verified=found)

    def _regress(self, reading: Reading) -> None:
        """Check what was found, and keep it for later nights."""
        now = baseline_of(reading.record, f"night {self.night.number}")
        self.kept[BASELINE_FILE] = BASELINE.dump_json(now, indent=1).decode()
        then = self._then
        if then is None or then.shipped is None:
            return
        if now.shipped is None and {one.text for one in then.limits} != {one.text for one in now.limits}:
            return  # other limits, that nothing meets, are no loss
        check_comparable(then, now)
        found = regressed(then, now, self._tolerances)
        self.night = replace(self.night, regressed=found, against=then.source)
        first = first_baseline(self.folder, self.history)
        for line in () if first is None else drifted(first, now, self._tolerances, found):
            self._remark(line)
