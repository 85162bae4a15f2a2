"""A space less what its models cannot have. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .space import Space, Student


@dataclass(frozen=True, kw_only=True)
class PossibleSpace:
    """A space without what its models cannot have. `impossible` are students whose values are each possible,
    but not together; `space.masked` names them too."""

    space: Space
    impossible: Mapping[Student, str] = field(default_factory=dict)


def needs_trying(space: Space, *, derived: bool) -> bool:
    """Whether a space asks for anything that a model's structure may not allow; `derived`: its students are
    cut out of the teacher."""
    sparse = any(sparsity != "dense" for backend in space.backends for sparsity in backend.sparsities)
    return space.trains and (sparse or (derived and bool(space.student_axes)))
