"""What a study will take, in sentences."""

from __future__ import annotations

from ...profiles.devices.shown import shown_by
from ...profiles.words import counted, duration
from ...search.job.expected import Basis, Expected, expected
from ...search.job.job import Job


def expected_lines(job: Job) -> list[str]:
    """The expected time of a job's study, with where the expectation comes from."""
    found = expected(job, shown_by(job.profile))
    reached = "" if job.profile.reach.kind == "none" else job.profile_text
    lines = [_candidates(found, reached), _trainings(found, job.file.training.epochs)]
    seconds = job.file.budget.time
    if seconds is None:
        return [f"expected time: {_in_all(found)}", *lines]
    return [
        f"expected time: at most {seconds:.0f} s in all: set-up and the teacher, the search, and the "
        f"finalists, for which time is kept as measurements tell how much{_in_time(found, seconds)}",
        *lines,
        "not cut short where the time is over: the teacher's own training, the first measurement of the "
        "uncompressed teacher, a step of a training, and a compilation or measurement under way (at most "
        f"{job.file.guard.compile:g} s and {job.file.guard.run:g} s by `guard`)",
    ]


def _in_all(found: Expected) -> str:
    if found.total_s is not None:
        return f"about {duration(found.total_s)}, and the teacher's own training"
    if found.candidate_s is None or found.basis is Basis.START:
        return "not known"
    measuring = found.candidates * found.candidate_s + found.finalists * (found.finalist_s or 0.0)
    return f"about {duration(measuring)} without the trainings, the teacher's own among them"


def _in_time(found: Expected, seconds: float) -> str:
    if found.candidate_s is None or found.basis is Basis.START:
        return ""
    left = seconds - found.finalists * (found.finalist_s or 0.0)
    count = int(max(left, seconds / 2) / found.candidate_s)
    return f"; that is time for about {counted(min(count, found.candidates), 'candidate')}, trainings aside"


def _candidates(found: Expected, device: str) -> str:
    if found.candidate_s is None:
        hint = f"; `paretune devices check {device}` tells" if device else ""
        return f"  nothing was measured on this device yet{hint}"
    about, seen = f"  about {duration(found.candidate_s)} a candidate", counted(found.seen, "measurement")
    told = {
        Basis.WORKLOAD: f"{about} on this device, seen in {seen} of this workload",
        Basis.OTHERS: f"{about} on this device, as other models took in {seen}",
        Basis.START: f"  more than {duration(found.candidate_s)} a candidate: a runner takes half of it to "
        "start on this device; what scoring and measuring takes is seen in the first study",
        Basis.USUAL: f"{about}: nothing was measured on this machine yet",
    }[found.basis]
    finalist = found.finalist_s if found.basis is not Basis.START else None
    each = f", {duration(finalist)} for each of {counted(found.finalists, 'finalist')}" if finalist else ""
    return f"{told}, {counted(found.candidates, 'candidate')}{each}"


def _trainings(found: Expected, epochs: int) -> str:
    if not found.trainings:
        return "  no trainings"
    many = f"  at most {counted(found.trainings, 'training')} of {counted(epochs, 'epoch')} each"
    if found.training_s is None:
        return f"{many}; what one takes was not seen yet"
    return f"{many}, about {duration(found.training_s)} each, seen in {found.trainings_seen}"
