"""What a study will ask of artifacts beside their latency, in sentences for its plan."""

from __future__ import annotations

from ...profiles.words import joined
from ...search.job.job import Job
from ...search.record.metrics import MEMORY_METRICS


def deployed_plan_lines(job: Job) -> list[str]:
    """One line for each question that takes time."""
    return _memory(job)


def _memory(job: Job) -> list[str]:
    limits = [one for one in job.limits if one.metric in MEMORY_METRICS and one.upper and one.bound]
    if not limits:
        return []
    texts = joined([repr(one.text) for one in limits])
    return [
        "memory: before any training, what each runtime itself takes is measured on the device, about 3 s "
        f"for a runtime, once; those that {texts} leaves no room for are left out"
    ]
