"""A space of what was trained already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..record.candidate import Candidate
from ..record.evaluation import EVERY_BACKEND, Masked
from ..record.training import TrainingKey, training_key
from .space import Space
from .trained import Trained

_NAMED = 12
"""So many models that are left out are named, the others are counted."""


def of_kept(space: Space, kept: frozenset[TrainingKey], why: Callable[[Candidate], str]) -> Space:
    """The candidates of a space whose trainings are among these; `why` says of another why it is left out.

    The axes stay as they are: storages refuse to go on with a study whose axes have changed, and what is kept
    may be more on another day.
    """
    asked = {training_key(candidate): candidate for candidate in space.trainings()}
    missing: dict[str, dict[str, None]] = {}
    for key, candidate in asked.items():
        if key not in kept:
            missing.setdefault(why(candidate), {})[_title(candidate)] = None
    masked = [
        Masked(backend=EVERY_BACKEND, what=what, reason=reason)
        for reason, titles in missing.items()
        for what in _named(list(titles))
    ]
    return replace(space, kept=Trained(kept & asked.keys()), masked=(*space.masked, *masked))


def _title(candidate: Candidate) -> str:
    student = " ".join(f"{axis}={value}" for axis, value in candidate.student) or "teacher"
    return student if candidate.sparsity == "dense" else f"{student} {candidate.sparsity}"


def _named(titles: list[str]) -> list[str]:
    more = len(titles) - _NAMED
    return titles if more <= 1 else [*titles[:_NAMED], f"{more} more"]
