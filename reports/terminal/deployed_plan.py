"""What a study will ask of artifacts beside their latency, in sentences for its plan."""

from __future__ import annotations

from ...profiles.devices.shown import shown_by
from ...profiles.words import counted, duration, joined
from ...search.job.expected import expected
from ...search.job.job import Job
from ...search.job.load_time import THROUGHPUT, load_seconds, named_metrics
from ...search.job.metered_plan import energy_plan
from ...search.record.metrics import DELEGATED, MEMORY_METRICS
from ...search.record.sustained import MOST, NOT_THERE, seconds_of


def deployed_plan_lines(job: Job) -> list[str]:
    """One line for each question that takes time."""
    return [
        *_options(job),
        *_memory(job),
        *_throughput(job),
        *_placement(job),
        *_energy(job),
        *_sustained(job),
    ]


def _options(job: Job) -> list[str]:
    """What is tried of how finalists are run."""
    axes, found = job.axes(), expected(job, shown_by(job.profile))
    if not job.file.deploy.tries:
        return []
    lines = [f"deployment options not tried: {why}" for why in axes.left_out]
    if not found.settings:
        return [*lines, "deployment options: nothing is left to try beside how the study searches"]
    return [
        f"deployment options: up to {counted(found.settings, 'setting')} of each of "
        f"{counted(found.finalists, 'finalist')}, which trains nothing and takes about "
        f"{duration(found.options_s)} in all; what is faster is measured afresh beside the default",
        *lines,
    ]


def _memory(job: Job) -> list[str]:
    limits = [one for one in job.limits if one.metric in MEMORY_METRICS and one.upper and one.bound]
    if not limits:
        return []
    texts = joined([repr(one.text) for one in limits])
    return [
        "memory: before any training, what each runtime itself takes is measured on the device, about 3 s "
        f"for a runtime, once; those that miss {texts} by themselves are left out"
    ]


def _throughput(job: Job) -> list[str]:
    if THROUGHPUT not in named_metrics(job) and not load_seconds(job):
        return []
    seconds, count = load_seconds(job), min(job.file.finalists + 1, job.space.size)
    while_searching = "throughput: predicted of each candidate from its latency measurement"
    if not seconds:
        return [f"{while_searching}, no finalist is put under load (`measure: {{load: 0}}`)"]
    return [
        f"{while_searching}; {counted(count, 'finalist')} under load for up to {duration(seconds)} each, "
        f"{duration(count * seconds)} in all"
    ]


def _placement(job: Job) -> list[str]:
    whom = "each candidate that is measured, before it is trained" if DELEGATED in named_metrics(job) else ""
    return [
        f"where nodes run: asked of {whom or 'each finalist'}; about a second each, in a process of its own"
    ]


def _energy(job: Job) -> list[str]:
    found = energy_plan(job)
    if found is None:
        return []
    if found.cannot:
        return [f"energy: {found.cannot}; `run` refuses this study"]
    by = f"by {found.meter}" if found.meter else "by the meter that the device has"
    each = (
        f"{_about(found.candidate_s)} for each candidate that is measured, " if any(found.candidate_s) else ""
    )
    return [f"energy: {by}, {each}{_about(found.finalist_s)} for each finalist"]


def _sustained(job: Job) -> list[str]:
    said = job.file.sustained
    if said is None:
        return []
    if job.estimate is not None:
        return [f"sustained: {NOT_THERE}"]
    count = min(job.file.finalists + 1, job.space.size)
    whole, budget = seconds_of(said.time, count), job.file.budget.time
    each = f"{duration(said.time)} at work ({said.load} load) for each of {counted(count, 'finalist')}"
    rest = f"about {duration(whole)} with rests between them, in which nobody else has the device"
    line = f"sustained: {each}, {rest}"
    if budget is None or whole <= MOST * budget:
        return [line]
    return [f"{line}; the budget of {duration(budget)} leaves them half of it, so each is at work for less"]


def _about(seconds: tuple[float, float]) -> str:
    least, most = seconds
    return f"about {duration(most)}" if most - least < 1 else f"{duration(least)} to {duration(most)}"
