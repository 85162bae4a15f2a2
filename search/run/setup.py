"""Sampler and gate of a study, as its file asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.samplers import BaseSampler

from ..gate.gate import Gate
from ..job.job import Job
from ..job.study_file import StopSection
from ..record.protocols import CandidateEvaluator, Judge
from ..record.quality import QualityScale
from ..sampler.hardware_first import HardwareFirstSampler, StopRule
from ..sampler.knowledge import EarlierQuality, Problem
from .facts import StudyFacts
from .samplers import make_sampler
from .warm_start import EarlierResult, earlier_results, remark

SHARE_MARGIN, OTHER_MARGIN = 0.01, 0.01
"""Of the gate, where the study file says nothing: a point, or this share of the teacher's value."""
SAME_DEVICE_NOISE, OTHER_DEVICE_NOISE = 2.0, 4.0
"""Extra variance of an earlier study's quality: integer kernels of another device round differently."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What decides the next candidate, what decides whether it is worth training, and what was said of it."""

    sampler: BaseSampler
    judge: Judge
    remarks: tuple[str, ...]


def set_up_search(
    job: Job, evaluator: CandidateEvaluator, teacher: Mapping[str, Any], sampler_seed: int
) -> Search:
    """Sampler and gate. `teacher` are the facts of the teacher, whose quality gives margins a scale."""
    metric = job.loaded.workload.metric
    scale = QualityScale.of(metric.name, metric.higher_is_better)
    gate = Gate(
        job.objectives,
        scale,
        margin=_margin(job, teacher, scale.is_share),
        best_hardware=lambda candidate: None,
        during_training=job.file.gate.during_training,
    )
    if job.file.sampler != "hardware-first":
        return Search(sampler=make_sampler(job.file.sampler, sampler_seed), judge=gate, remarks=())
    earlier = earlier_results(job, job.file.warm_start)
    problem = Problem(
        space=job.space,
        objectives=job.objectives,
        scale=scale,
        reference=job.reference,
        earlier=tuple(_earlier(result) for result in earlier.results),
    )
    sampler = HardwareFirstSampler(problem, StudyFacts(evaluator, gate), sampler_seed, _stop_rule(job))
    gate.best_hardware = sampler.best_hardware
    return Search(
        sampler=sampler, judge=gate, remarks=tuple(filter(None, (remark(earlier), *earlier.skipped)))
    )


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
