"""What a study file says about workers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from ...profiles.text.named import SchedulerAddress
from .section import Section
from .values import Count

MOST_WORKERS = 1024


class WorkersSection(Section):
    """Who evaluates candidates: `count` processes on this machine, or all of a `cluster` of Dask's, by the
    address of its scheduler."""

    count: Annotated[Count, Field(le=MOST_WORKERS)] | None = None
    cluster: SchedulerAddress | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> WorkersSection:
        if (self.count is None) == (self.cluster is None):
            raise ValueError("either count or cluster is needed, and not both")
        return self


def workers_section(value: Any) -> Any:
    """`workers: 4` stands for `workers: {count: 4}`."""
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value
