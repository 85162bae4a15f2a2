"""What factors of situations have in common, before anything was measured: a Gaussian over their logarithms.

Kernels are as good as who wrote them (the runtime), for the processor that they were written for (the
family), on one device or another; where two situations share any of these, what was seen of one tells of the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .situation import Situation
from .terms import TERMS, Floats

# Standard deviations of logarithms: for all terms at once, for those of one resource, and for one term.
_COMMON = (0.4, 0.5, 0.6)
_SHARED: tuple[tuple[Callable[[Situation], object], tuple[float, float, float]], ...] = (
    (lambda one: one.speeds.family, (0.2, 0.3, 0.3)),
    (lambda one: one.runtime, (0.2, 0.4, 0.3)),
    (lambda one: (one.runtime, one.speeds.family), (0.1, 0.2, 0.2)),
    (lambda one: one.device, (0.3, 0.3, 0.15)),
    (lambda one: (one.device, one.runtime), (0.1, 0.15, 0.15)),
    (lambda one: one, (0.1, 0.15, 0.15)),
)
_MORE = {"compute": 1.0, "memory": 1.0, "launch": 1.4, "call": 1.8}
"""Times: some resources differ more between situations than others."""
_GUESSED = {"peaks": ("compute", 0.7), "bandwidth": ("memory", 0.7), "caches": ("memory", 0.5)}
"""Added to what is not known of a device where a figure of its profile is a guess."""


def prior(situations: Sequence[Situation]) -> Floats:
    """[situations x TERMS, situations x TERMS] covariance of logarithms of factors."""
    together = np.ones((len(situations), len(situations)))
    total = np.kron(together, _of_terms(*_COMMON))
    for key, spreads in _SHARED:
        keys = [key(one) for one in situations]
        same = np.array([[float(a == b) for b in keys] for a in keys])
        total += np.kron(same, _of_terms(*spreads))
    return total + _of_guesses(situations)


def _of_terms(every: float, resource: float, own: float) -> Floats:
    more = np.array([_MORE[term.resource] for term in TERMS])
    same = np.array([[float(a.resource == b.resource) for b in TERMS] for a in TERMS])
    found: Floats = np.full_like(same, every**2) + np.outer(more, more) * (
        resource**2 * same + own**2 * np.eye(len(TERMS))
    )
    return found


def _of_guesses(situations: Sequence[Situation]) -> Floats:
    devices = [one.device for one in situations]
    same = np.array([[float(a == b) for b in devices] for a in devices])
    found = np.zeros((len(situations) * len(TERMS),) * 2)
    for what, (resource, spread) in _GUESSED.items():
        guessed = np.array([float(any(what in field for field in one.speeds.missing)) for one in situations])
        of = np.array([float(term.resource == resource) for term in TERMS])
        found += np.kron(same * np.outer(guessed, guessed), spread**2 * np.outer(of, of))
    return found
