"""What a driver is to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..record.candidate import Candidate
from ..record.evaluation import StudyRecord
from ..record.limits import LimitSpec
from ..space.space import Space, Student


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What the driver is to do. `frame` is the record without trials, for reports. `impossible` are students
    of the space that cannot be, with the reason. Finalists are measured in `more_rounds` times as many rounds
    as trials, and scored on `more_samples` times as many samples. `tuning` has the backends that have to be
    tuned, with the seconds that one tuning may take; `each_s` are those that a finalist takes beside, which
    is put under load or kept at work. `first` are candidates that are evaluated before the
    sampler proposes any; `beyond` says why a candidate is none of the study's."""

    space: Space
    limits: tuple[LimitSpec, ...]
    finalists: int
    finalist_rounds: int
    seed: int
    frame: StudyRecord
    impossible: Mapping[Student, str] = field(default_factory=dict)
    more_rounds: float = 1.0
    more_samples: float = 1.0
    tuning: Mapping[str, float] = field(default_factory=dict)
    each_s: float = 0.0
    first: tuple[Candidate, ...] = ()
    beyond: Callable[[Candidate], str] = lambda candidate: ""
