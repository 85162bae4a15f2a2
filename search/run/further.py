"""Which further questions a study asks of artifacts: by its limits and objectives, and by its study file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..job.job import Job
from ..stages.deployment.cost import CostQuestion
from ..stages.deployment.energy import ENERGY, EnergyQuestion
from ..stages.deployment.further import Further
from ..stages.deployment.memory import MemoryQuestion
from ..stages.deployment.placement import PlacementQuestion


@dataclass(frozen=True, kw_only=True)
class Questions:
    """`always` are asked of all that is measured, `of_finalists` of finalists."""

    always: Sequence[Further] = ()
    of_finalists: Sequence[Further] = ()


def questions_of(job: Job) -> Questions:
    """The questions of a study: while it searches, those that tell a metric which a limit or an objective
    names; of finalists, all."""
    asked = {limit.metric for limit in job.limits} | {objective.metric for objective in job.objectives}
    known = _questions(job)
    return Questions(
        always=tuple(one for one in known if one.metrics & asked),
        of_finalists=known,
    )


def _questions(job: Job) -> tuple[Further, ...]:
    """All questions in the order in which they are asked."""
    named = {limit.metric for limit in job.limits} | {objective.metric for objective in job.objectives}
    return (
        MemoryQuestion(),
        PlacementQuestion(),
        EnergyQuestion(wanted=ENERGY in named),
        CostQuestion(job.profile.usd_per_hour),
    )
