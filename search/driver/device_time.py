"""What candidates take on the device, as this study and earlier ones have seen it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from statistics import median

from ...profiles.devices.shown import COMPILE, FINALIST, INFERENCE, MEASURE, SCORE, TRAINING, remember
from ...profiles.errors import StageError
from ..job.job import Job
from ..record.candidate import Candidate
from ..record.evaluation import Outcome, StudyRecord, TrialRecord
from ..record.protocols import CandidateEvaluator, Hardware, Standard
from ..record.training import TRAINING_STAGES
from ..stages.device.effort import ReferencePace
from .budget import Budget

LATEST = 20
"""So many candidates tell what the next one takes."""
SURVEY_SHARE = 0.1
"""Of the time budget, that goes into first measurements."""
SIMPLE_SHARE, SIMPLE_FIRST = 0.5, 0.02
"""Of the budget, in which simple choices beyond the usual ones come while there is something to search; of
its time, that all simple choices may take to come before the search."""
USUAL_MIXED, FURTHER_MIXED = 0.15, 0.1
"""Of the time that has passed since the reference was measured, that simple choices may take where they come
within the search: the usual ones, and those beyond them."""
_DEVICE = (COMPILE, SCORE, MEASURE)


class DeviceTime:
    """Sets what a budget keeps free for a candidate that is begun. What was answered from the store took
    nothing and tells nothing."""

    def __init__(self, budget: Budget, reference: Candidate) -> None:
        self._budget, self._reference = budget, reference
        self._whole: deque[float] = deque(maxlen=LATEST)
        self._teacher_s = self._simple_s = 0.0
        self._began: float | None = None
        self.probes, self._probing_s = 0, 0.0

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial that has ended."""
        spent = _spent(record)
        if not record.ended(Outcome.COMPLETE) or not {SCORE, MEASURE} <= set(spent):
            return
        taken = sum(spent.get(name, 0.0) for name in _DEVICE)
        if record.evaluation.candidate.is_teacher:
            self._teacher_s = taken
            self._learn_simple(record, sum(spent.values()))
        else:
            self._whole.append(taken)
            self._budget.rest = median(self._whole)
            self._note_least(taken)

    def _learn_simple(self, record: TrialRecord, seconds: float) -> None:
        """The first of them is the reference, with which the search begins."""
        if self._began is None:
            self._began = self._budget.elapsed_seconds
        elif record.evaluation.baseline:
            self._simple_s += seconds

    @property
    def surveying(self) -> bool:
        """Whether there is time for first measurements, which tell the axes apart."""
        return self._probing_s < SURVEY_SHARE * (self._budget.seconds or inf)

    def probe(
        self, evaluator: CandidateEvaluator, candidate: Candidate, standard: Standard
    ) -> tuple[Hardware | None, float]:
        """Measure a candidate with untrained weights; what was found, and the seconds that took."""
        started = self._budget.worked()
        hardware = measured_of(lambda: evaluator.hardware(candidate, standard))
        seconds = self._budget.worked() - started
        self.probed(hardware, seconds)
        return hardware, seconds

    def probed(self, hardware: Hardware | None, seconds: float) -> None:
        """A candidate was measured with untrained weights, see `measured_of`."""
        self.probes += 1
        self._probing_s += seconds
        if hardware is not None and not hardware.refused:
            self._note_least(seconds)

    def _note_least(self, seconds: float) -> None:
        self._budget.least = min(seconds, self._budget.least or seconds)

    def in_time(self, simple: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Those of the simple choices that would end in the time that is left: each of them is the whole
        teacher, and takes what the last one took."""
        late = self._teacher_s > self._budget.seconds_left
        return tuple(one for one in simple if not late or one == self._reference)

    def first(self, simple: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Those of the simple choices that come before the search: all, or but the reference."""
        few = self._quick(len(simple))
        return tuple(one for one in self.in_time(simple) if few or one == self._reference)

    def affords(self, left: Sequence[Candidate], evaluated: int, *, usual: bool) -> bool:
        """Whether the first of the simple choices that are left comes now, after so many candidates that
        were evaluated."""
        trials, seconds = self._budget.trials, self._budget.seconds
        elapsed = self._budget.elapsed_seconds
        searched = elapsed - (self._began or 0.0)
        early = (trials is None or evaluated < SIMPLE_SHARE * trials) and (
            seconds is None or elapsed < SIMPLE_SHARE * seconds
        )
        if not early and not usual:
            return False
        share = USUAL_MIXED if usual else FURTHER_MIXED
        return self._quick(len(left)) or self._simple_s + self._teacher_s <= share * searched

    def _quick(self, count: int) -> bool:
        """Whether so many simple choices take next to nothing of the budget."""
        seconds = self._budget.seconds
        return seconds is None or count * self._teacher_s <= SIMPLE_FIRST * seconds


def measured_of(hardware: Callable[[], Hardware]) -> Hardware | None:
    """What a candidate with untrained weights shows, whose `hardware` is asked for; nothing where something
    from outside ended it, which says nothing of others of its class."""
    try:
        return hardware()
    except StageError as error:  # others of its class would crash as well
        return None if error.outside else Hardware(refused=f"{error.stage}: {error.cause}")


def _spent(record: TrialRecord) -> dict[str, float]:
    """Seconds by stage, of those that were done now."""
    return {stage.name: stage.seconds for stage in record.evaluation.stages if not stage.cached}


def remember_pace(
    job: Job, record: StudyRecord, since: float, finalist_s: Iterable[float], pace: ReferencePace
) -> None:
    """Keep for later studies what the device has shown in the trials that were started since then, in the
    check of finalists, and of the reference. What this machine shows in the place of another is not its."""
    if job.estimate is not None:
        return
    ours = [trial for trial in record.trials if trial.started >= since]
    # Where options were tried, what finalists took is no measure of other studies.
    others = {FINALIST: () if job.file.deploy.tries else finalist_s, INFERENCE: (pace.run_s,)}
    remember(job.profile, {**seen_in(ours), **others}, job.loaded.workload.name)


def seen_in(records: Iterable[TrialRecord]) -> Mapping[str, list[float]]:
    """Seconds of each candidate's stages by what took them, as `profiles.devices.shown` keeps them."""
    found: dict[str, list[float]] = {name: [] for name in (*_DEVICE, TRAINING)}
    for record in records:
        if record.duplicate_of is not None:
            continue
        spent = _spent(record)
        for name in _DEVICE:
            found[name] += [spent[name]] if name in spent else []
        trained = [seconds for name, seconds in spent.items() if name in TRAINING_STAGES]
        found[TRAINING] += [sum(trained)] if trained else []
    return found
