"""What a driver is to do."""

from __future__ import annotations

from dataclasses import dataclass

from ..record.evaluation import StudyRecord
from ..record.limits import LimitSpec
from ..space.space import Space


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What the driver is to do. `frame` is the record without trials, for reports."""

    space: Space
    limits: tuple[LimitSpec, ...]
    finalists: int
    finalist_rounds: int
    seed: int
    frame: StudyRecord
