"""What tells kinds of studies apart; everything else of a session is the same for all of them."""

from __future__ import annotations

from collections.abc import Mapping

from ..driver.budget import Budget
from ..driver.plan import SearchPlan
from ..job.job import Job
from ..record.progress import Progress
from ..record.treatment import Treatment
from ..space.space import Space
from ..stages.models.base import Models
from ..stages.models.load import load_models
from ..store.store import Store
from .waiting import training_control


class StudyKind:
    """A study that trains its own models and looks at the whole of its space."""

    def models(self, job: Job, store: Store, progress: Progress, budget: Budget) -> Models:
        """The models of the job's workload."""
        return load_models(
            job.loaded,
            store,
            progress,
            job.file.training.threads,
            training_control(budget, progress),
            job.space.recipe,
        )

    def space(self, space: Space, models: Models) -> Space:
        """What of the possible space is looked at."""
        return space

    def plan(self, plan: SearchPlan) -> SearchPlan:
        """The plan of the search, with what this kind adds."""
        return plan

    def treated(self) -> Mapping[str, Treatment]:
        """The treatments that candidates start from, by their digests."""
        return {}
