"""What a study would do: the space after masking and why, the simple choices, the expected effort."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...backends.registry import nm_sparsity_offered, offers
from ...profiles.words import joined
from ...search.job.job import Job
from ...search.record.evaluation import Masked
from ...search.space.space import BackendChoices, Space
from .absent_plan import absent_plan_lines
from .deployed_plan import deployed_plan_lines
from .expected import expected_lines


def plan_text(job: Job, task: str) -> RenderableType:
    """The plan of a job, whose models are for this task, for a terminal."""
    parts: list[RenderableType] = [Text(_head(job, task)), Text("")]
    parts += [_offered(job.space), Text("")]
    cautions = [line for backend in job.space.backends for line in _cautions(backend, job)]
    if cautions:
        parts += [Text("Good to know"), *map(Text, cautions), Text("")]
    if job.space.masked:
        parts += [Text("Masked, with the reason"), _masked(job.space.masked), Text("")]
    parts += [Text(line) for line in _effort(job)]
    return Group(*parts)


def _head(job: Job, task: str) -> str:
    budget = job.file.budget
    limits = [
        f"{budget.trials} candidates" if budget.trials else "",
        f"{budget.time:.0f} s" if budget.time else "",
    ]
    lines = [
        f"study {job.file.name}: workload {job.loaded.workload.name}, device {job.profile.title}",
        f"task: {task}",
        "objectives: " + ", ".join(objective.metric for objective in job.objectives),
        "limits: " + ("; ".join(spec.text for spec in job.limits) or "none"),
        "budget: " + " or ".join(filter(None, limits)) + f"; sampler {job.file.sampler}",
    ]
    return "\n".join(lines)


def _offered(space: Space) -> Table:
    table = Table(title="Offered", title_justify="left", show_edge=False, pad_edge=False)
    for title in ("backend", "precision", "calibration", "sparsity"):
        table.add_column(title, overflow="fold")
    for backend in space.backends:
        table.add_row(
            backend.name,
            ", ".join(map(str, backend.precisions)),
            _calibration(backend, space),
            ", ".join(backend.sparsities),
        )
    return table


def _cautions(backend: BackendChoices, job: Job) -> list[str]:
    wanted = set(map(str, backend.precisions))
    known = [offer for offer in offers(backend.name, job.profile) if offer.offered and offer.reason]
    lines = [f"  {backend.name} {offer.what}: {offer.reason}" for offer in known if offer.what in wanted]
    if nm_sparsity_offered(backend.name, job.profile).offered and "2:4" not in backend.sparsities:
        lines.append(
            f"  {backend.name} 2:4: possible on this device; name it in `space.sparsity` to search it"
        )
    return lines


def _calibration(backend: BackendChoices, space: Space) -> str:
    if not any(precision.decoded.calibrated for precision in backend.precisions):
        return "-"
    samples = ", ".join(map(str, space.calibration_samples))
    return f"{', '.join(backend.calibration_methods)}; {samples} samples"


def _masked(masked: Iterable[Masked]) -> Table:
    table = Table(show_header=False, show_edge=False, pad_edge=False, box=None)
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in masked:
        grouped[row.backend, row.reason].append(row.what)
    for (backend, reason), whats in grouped.items():
        table.add_row(f"  {backend}", ", ".join(whats), Text(reason))
    return table


def _effort(job: Job) -> list[str]:
    space = job.space
    trained = len(list(space.trainings()))
    lines = [f"space: {space.size} candidates, {trained} different trainings behind them"]
    axes = [f"{axis} in {', '.join(map(str, values))}" for axis, values in space.student_axes.items()]
    if axes:
        lines.append("students: " + "; ".join(axes))
    usual = space.usual_choices()
    further = [candidate for candidate in space.baselines() if candidate not in usual]
    lines.append("simple choices, evaluated first: " + "; ".join(c.title for c in usual))
    if further:
        titles = "; ".join(candidate.title for candidate in further)
        lines.append(f"further simple choices, within half of the budget: {titles}")
    lines += expected_lines(job)
    lines += _tuning(job)
    lines += deployed_plan_lines(job)
    lines += absent_plan_lines(job)
    lines.append("nothing was trained, compiled or measured")
    return lines


def _tuning(job: Job) -> list[str]:
    tuning, names = job.file.tuning, list(job.tuning_seconds)
    if tuning is None or not names:
        return []
    return [
        f"tuning: at most {tuning.trials} schedules and {tuning.time:g} s for each candidate on "
        f"{joined(names)} that may reach the front, and for the teacher as it is, where that takes no more "
        "than half of the time that is left"
    ]
