"""What a driver holds together, each made before it."""

from __future__ import annotations

from typing import NamedTuple

from ..record.progress import Progress
from ..record.protocols import CandidateEvaluator
from ..storage.study_store import StudyStore
from .budget import Budget
from .plan import SearchPlan
from .search import Search


class DriverParts(NamedTuple):
    """What is searched and how, who evaluates for the driver itself, and where it tells what it learns."""

    plan: SearchPlan
    evaluator: CandidateEvaluator
    search: Search
    studies: StudyStore
    budget: Budget
    progress: Progress
