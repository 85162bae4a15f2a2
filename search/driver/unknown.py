"""A candidate that was not evaluated yet, where the sampler has nothing new to say."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..record.candidate import Candidate
from ..space.space import Space

DRAWS = 200
"""So often a candidate is drawn before the space is searched for one that is left."""


def drawn(space: Space, rng: random.Random, is_open: Callable[[Candidate], bool]) -> Candidate | None:
    """Any candidate that is open; None where none is left."""
    for _ in range(DRAWS):
        candidate = space.draw(rng)
        if is_open(candidate):
            return candidate
    left = [candidate for candidate in space.candidates() if is_open(candidate)]
    return rng.choice(left) if left else None
