"""What a study will take, by what its device has shown in checks and earlier studies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from statistics import median

from ...profiles.devices.loader import HOST
from ...profiles.devices.shown import (
    COMPILE,
    DEVICE,
    FINALIST,
    MEASURE,
    SCORE,
    START,
    TRAINING,
    Shown,
)
from .job import Job

USUAL_SECONDS = 3.0
"""Of compiling, scoring and measuring a small candidate on a machine such as this one."""

USUAL_SETTING_SECONDS = 1.0
"""Of opening a small model by another setting and measuring it."""
_AGAIN = 3
"""Measurements of each finalist beside those of each setting alone."""


class Basis(Enum):
    """Where the seconds of a candidate come from."""

    WORKLOAD = "earlier studies of this workload on the device"
    OTHERS = "studies of other workloads on the device"
    START = "what a runner takes to start there, twice: a candidate takes more than that"
    USUAL = "nothing that was seen: a small model on a machine such as this one"
    NONE = "nothing"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Seconds of one candidate on the device, of one finalist, and of one training (None: not known), each
    with the number of times that it was seen. `candidates`, `finalists` and `trainings` are how many there
    may be; `settings` of each finalist are tried at the most, each for `setting_s`."""

    basis: Basis
    candidate_s: float | None
    seen: int
    candidates: int
    finalist_s: float | None
    finalists: int
    training_s: float | None
    trainings_seen: int
    trainings: int
    settings: int = 0
    setting_s: float = 0.0

    @property
    def options_s(self) -> float:
        """Of trying how finalists are best run: each setting alone, then the best of them together, and again
        beside the default."""
        return self.finalists * (self.settings + _AGAIN) * self.setting_s if self.settings else 0.0

    @property
    def total_s(self) -> float | None:
        """Of all together, but for the teacher's own training; None where a part is not known."""
        known = (self.candidate_s, self.finalist_s if self.finalists else 0.0)
        training_s = self.training_s if self.trainings else 0.0
        if None in known or training_s is None or self.basis in (Basis.START, Basis.NONE):
            return None
        candidate, finalist = (one or 0.0 for one in known)
        alone = self.candidates * candidate + self.finalists * finalist + self.trainings * training_s
        return alone + self.options_s


def expected(job: Job, shown: Shown) -> Expected:
    """What the study of a job will take."""
    budget, space, workload = job.file.budget, job.space, job.loaded.workload.name
    candidates = min(budget.trials or space.size, space.size)
    basis, candidate_s, seen = _candidate(shown, workload, job.profile.name == HOST)
    trained = shown.times(TRAINING, workload)
    return Expected(
        basis=basis,
        candidate_s=candidate_s,
        seen=seen,
        candidates=candidates,
        finalist_s=_finalist(job, shown, workload, candidate_s),
        finalists=min(job.file.finalists + 1, candidates),
        training_s=median(trained) if trained else None,
        trainings_seen=len(trained),
        trainings=min(candidates, len(list(space.trainings()))),
        settings=job.axes().most(space),
        setting_s=shown.typical(MEASURE, workload) or shown.typical(START) or USUAL_SETTING_SECONDS,
    )


def _candidate(shown: Shown, workload: str, host: bool) -> tuple[Basis, float | None, int]:
    own = _stages(shown, workload)
    if own is not None:
        return Basis.WORKLOAD, own, len(shown.times(MEASURE, workload))
    names = [name for name in shown.seconds if name != DEVICE]
    others = [
        (found, len(shown.times(MEASURE, n))) for n in names if (found := _stages(shown, n)) is not None
    ]
    if others:
        return Basis.OTHERS, median(found for found, _ in others), sum(count for _, count in others)
    start = shown.typical(START)
    if host:
        return Basis.USUAL, USUAL_SECONDS, 0
    return (Basis.NONE, None, 0) if start is None else (Basis.START, 2 * start, len(shown.times(START)))


def _stages(shown: Shown, workload: str) -> float | None:
    """Of a candidate: its artifact compiled, scored and measured."""
    score, measure = shown.typical(SCORE, workload), shown.typical(MEASURE, workload)
    if score is None or measure is None:
        return None
    return (shown.typical(COMPILE, workload) or 0.0) + score + measure


def _finalist(job: Job, shown: Shown, workload: str, candidate_s: float | None) -> float | None:
    """As it was seen, else as a candidate whose scoring and measuring take so many times as long."""
    seen = shown.typical(FINALIST, workload)
    if seen is not None or candidate_s is None:
        return seen
    splits, rounds = job.loaded.splits, job.file.measure
    more = len(splits.test) / max(1, len(splits.validation)), rounds.finalist_rounds / rounds.rounds
    score, measure = shown.typical(SCORE, workload), shown.typical(MEASURE, workload)
    if score is None or measure is None:
        return max(more) * candidate_s
    return more[0] * score + more[1] * measure
