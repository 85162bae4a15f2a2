"""Which further questions a study asks of artifacts: by its limits and objectives, and by its study file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ..driver.budget import Budget
from ..job.job import Job
from ..job.load_time import load_seconds, named_metrics
from ..stages.deployment.cost import CostQuestion
from ..stages.deployment.energy import ENERGY, EnergyQuestion
from ..stages.deployment.further import Further
from ..stages.deployment.memory import MemoryQuestion
from ..stages.deployment.placement import PlacementQuestion
from ..stages.deployment.sustained import SustainedAsked
from ..stages.deployment.throughput import THROUGHPUT, Conditions, ThroughputQuestion


@dataclass(frozen=True, kw_only=True)
class Questions:
    """`always` are asked of all that is measured, `of_finalists` of finalists."""

    always: Sequence[Further] = ()
    of_finalists: Sequence[Further] = ()


def questions_of(job: Job, budget: Budget) -> Questions:
    """The questions of a study: while it searches, those that tell a metric which a limit or an objective
    names; of finalists, all."""
    asked = named_metrics(job)
    known = _questions(job, budget)
    return Questions(
        always=tuple(one for one in known if one.metrics & asked),
        of_finalists=known,
    )


def sustained_of(job: Job, *, again: bool) -> SustainedAsked | None:
    """For how long finalists are kept at work; None where the study file does not ask."""
    said = job.file.sustained
    if said is None:
        return None
    anew = datetime.now(timezone.utc).isoformat() if again else ""
    return SustainedAsked(seconds=said.time, load=said.load, again=anew)


def _questions(job: Job, budget: Budget) -> tuple[Further, ...]:
    """All questions in the order in which they are asked."""
    return (
        MemoryQuestion(),
        _throughput(job, budget),
        PlacementQuestion(),
        EnergyQuestion(wanted=ENERGY in named_metrics(job), checkpoint=budget.checkpoint),
        CostQuestion(job.profile.usd_per_hour, by_load=THROUGHPUT in named_metrics(job)),
    )


def _throughput(job: Job, budget: Budget) -> ThroughputQuestion:
    """Finalists are put under load where the study is about their throughput, or asks for it."""
    return ThroughputQuestion(
        Conditions.of(job.limits), load_seconds(job), lambda: budget.seconds_left, budget.checkpoint
    )
