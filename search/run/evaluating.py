"""What evaluates a job's candidates, in its own process and in those of workers."""

from __future__ import annotations

from collections.abc import Iterable

from ..driver.budget import Budget
from ..evaluation.evaluator import Evaluator
from ..job.job import Job
from ..job.reached import Reached
from ..job.study_file import StudyFile
from ..ladder.bench import Climbs
from ..ladder.ladder import LadderSettings
from ..record.evaluation import TrialRecord
from ..record.metrics import SIDE_EFFECTS
from ..stages.chain import Chain
from .kind import StudyKind
from .options import options_of


def evaluator_of(
    job: Job,
    chain: Chain,
    budget: Budget,
    records: Iterable[TrialRecord],
    kind: StudyKind,
    reached: Reached,
) -> Evaluator:
    """What evaluates the job's candidates, with what the ladder learns from the records of earlier ones."""
    known = (record.evaluation for record in records)
    climbs = Climbs(chain, _ladder_settings(job.file), lambda: budget.seconds_left, known)
    side_effects = frozenset(limit.metric for limit in job.limits) & set(SIDE_EFFECTS)
    asked = options_of(job, reached)
    return Evaluator(chain, climbs, side_effects, job.space.doubt, kind.treated(), asked)


def _ladder_settings(file: StudyFile) -> LadderSettings:
    """What the study file says about the ladder; no rungs where it says `never`."""
    ladder = file.ladder
    if isinstance(ladder, str):
        return LadderSettings(rungs=())
    return LadderSettings(
        rungs=ladder.rungs,
        allowed_loss=ladder.allowed_loss,
        seconds=ladder.time,
        least_gain_per_minute=ladder.worth,
        qat_epochs=ladder.qat_epochs,
        draws=ladder.draws,
    )
