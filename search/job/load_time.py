"""How long each finalist of a study is put under load."""

from __future__ import annotations

from .job import Job

THROUGHPUT, USUAL_SECONDS = "throughput_per_s", 30.0


def named_metrics(job: Job) -> set[str]:
    """The metrics of limits and objectives."""
    return {limit.metric for limit in job.limits} | {objective.metric for objective in job.objectives}


def load_seconds(job: Job) -> float:
    """What the study file says (`measure.load`); else so many where the study is about the throughput, and
    none in all others."""
    said = job.file.measure.load
    if said is not None:
        return float(said)
    return USUAL_SECONDS if THROUGHPUT in named_metrics(job) else 0.0
