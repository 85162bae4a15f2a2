"""What a check is about, in words."""

from __future__ import annotations

from ..record.evaluation import Limit
from .baseline import Shippable

TEACHER, REFERENCE, STUDY, ENVIRONMENT = "the teacher", "the reference", "the study", "the environment"


def shipped_subject(one: Shippable) -> str:
    """What is recommended tonight."""
    return f"what is shipped, #{one.number}"


def same_subject(one: Shippable) -> str:
    """What was recommended then, where that is another candidate by now; with its number of tonight."""
    return f"what was shipped, now #{one.number}"


def limit_subject(limit: Limit) -> str:
    """A limit, as its user wrote it."""
    return f"the limit {limit.text}"
