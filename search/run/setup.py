"""The search of a study, as its file asks for it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from ..driver.budget import Budget
from ..driver.search import Search, hardware_first
from ..gate.gate import Gate
from ..gate.tunings import Tunings
from ..job.job import Job
from ..job.study_file import StopSection
from ..record.protocols import NeededTrainings
from ..record.quality import QualityScale
from ..sampler.problem import EarlierQuality, SearchPart, SearchProblem
from ..sampler.stop_rule import StopRule
from .warm_start import EarlierResult, earlier_results, remark

SHARE_MARGIN, OTHER_MARGIN = 0.01, 0.01
"""Of the gate, where the study file says nothing: a point, or this share of the teacher's value."""
SAME_DEVICE_NOISE, OTHER_DEVICE_NOISE = 2.0, 4.0
"""Extra variance of an earlier study's quality: integer kernels of another device round differently."""


def set_up_search(
    job: Job,
    teacher: Mapping[str, Any],
    needed: NeededTrainings,
    before: int,
    budget: Budget,
    *,
    beside: bool = False,
) -> Search:
    """The job's search. `teacher` are the facts of the teacher, whose quality gives margins a scale;
    so many candidates were evaluated `before`; with `beside` several are asked for at a time."""
    sampler_seed = job.file.seed + before
    metric = job.loaded.workload.metric
    scale = QualityScale.of(metric.name, metric.higher_is_better)
    margin = _margin(job, teacher, scale.is_share)
    tuning = job.tuning_seconds
    tunings = Tunings(scale, tuning, others=len(tuning) < len(job.space.backends))
    gate = Gate(job.objectives, scale, margin, job.file.gate.during_training, tunings)
    if job.file.sampler != "hardware-first":
        return Search(make_sampler(job.file.sampler, sampler_seed, beside=beside), gate)
    earlier = earlier_results(job, job.file.warm_start)
    problem = SearchProblem(
        space=job.space,
        objectives=job.objectives,
        scale=scale,
        reference=job.reference,
        earlier=tuple(_earlier(result) for result in earlier.results),
        tuning=tuning,
        without=frozenset() if job.file.gate.during_training else frozenset({SearchPart.CURVES}),
    )
    said = tuple(filter(None, (remark(earlier), *earlier.skipped)))

    def seconds_left() -> float:
        return budget.seconds_left - budget.rest

    return hardware_first(problem, gate, needed, sampler_seed, _stop_rule(job), said, seconds_left)


def make_sampler(name: str, seed: int, *, beside: bool = False) -> BaseSampler:
    """The sampler of that name. `gp` draws at random where parameters are conditional, as Optuna defines;
    `tpe` takes what is asked for `beside` others for bad, so that these are not asked for again."""
    options: dict[str, Any] = {"seed": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return TPESampler(
                multivariate=True, group=True, n_startup_trials=12, constant_liar=beside, **options
            )
        if name == "nsga2":
            return NSGAIISampler(population_size=16, **options)
        if name == "gp":
            return GPSampler(**options)
        return RandomSampler(**options)


def _margin(job: Job, teacher: Mapping[str, Any], is_share: bool) -> float:
    if job.file.gate.margin is not None:
        return job.file.gate.margin
    quality = teacher.get("quality", {}).get("validation", 0.0)
    return SHARE_MARGIN if is_share else OTHER_MARGIN * abs(float(quality))


def _stop_rule(job: Job) -> StopRule | None:
    stop = job.file.stop
    return StopRule(gain=stop.gain, proposals=stop.proposals) if isinstance(stop, StopSection) else None


def _earlier(result: EarlierResult) -> EarlierQuality:
    noise = SAME_DEVICE_NOISE if result.same_instructions else OTHER_DEVICE_NOISE
    return EarlierQuality(candidate=result.candidate, quality=result.quality, noise=noise)
