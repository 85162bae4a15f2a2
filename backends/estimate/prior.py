"""What factors of situations have in common, before anything was measured: a Gaussian over their logarithms.

Kernels are as good as who wrote them (the runtime), for the processor that they were written for (the
family), on one device or another; where two situations share any of these, what was seen of one tells of the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

import numpy as np

from .situation import Situation
from .terms import TERMS, Floats

# Standard deviations of logarithms: for all terms at once, for those of one resource, and for one term.
Spreads = tuple[float, float, float]
_SHARED: tuple[tuple[Callable[[Situation], object], Spreads], ...] = (
    (lambda one: None, (0.4, 0.5, 0.6)),
    (lambda one: one.speeds.family, (0.2, 0.3, 0.3)),
    (lambda one: one.runtime, (0.2, 0.4, 0.3)),
    (lambda one: (one.runtime, one.speeds.family), (0.1, 0.2, 0.2)),
    (lambda one: one.device, (0.3, 0.3, 0.15)),
    (lambda one: (one.device, one.runtime), (0.1, 0.15, 0.15)),
    (lambda one: one, (0.1, 0.15, 0.15)),
)
_OF_RUNTIMES: tuple[tuple[str, float], ...] = (("launch", 1.2), ("call", 1.5))
"""To call a runtime and to start its kernels depends on the runtime more than on the device: between one that
runs an operator at a time and a compiled graph it is ten times and more."""
_TOGETHER = 0.35
"""How unsure it is what several cores reach together: that, times the logarithm of their number."""
_MORE = {"compute": 1.0, "memory": 1.0, "launch": 1.4, "call": 1.8}
"""Times: some resources differ more between situations than others."""
_GUESSED = {"peaks": ("compute", 0.7), "bandwidth": ("memory", 0.7), "caches": ("memory", 0.5)}
"""Added to what is not known of a device where a figure of its profile is a guess."""


def prior(situations: Sequence[Situation]) -> Floats:
    """[situations x TERMS, situations x TERMS] covariance of logarithms of factors."""
    total = _of_guesses(situations) + _of_cores(situations)
    for key, spreads in _SHARED:
        total += np.kron(_same([key(one) for one in situations]), _of_terms(*spreads))
    runtimes = _same([one.runtime for one in situations])
    for resource, spread in _OF_RUNTIMES:
        of = _of_resource(resource)
        total += np.kron(runtimes, spread**2 * np.outer(of, of))
    return total


def _same(keys: Sequence[object]) -> Floats:
    """1 where two of them are equal, else 0."""
    return np.array([[float(a == b) for b in keys] for a in keys])


def _of_resource(resource: str) -> Floats:
    return np.array([float(term.resource == resource) for term in TERMS])


def _of_terms(every: float, of_resource: float, own: float) -> Floats:
    more = np.array([_MORE[term.resource] for term in TERMS])
    same = _same([term.resource for term in TERMS])
    apart: Floats = np.outer(more, more) * (of_resource**2 * same + own**2 * np.eye(len(TERMS)))
    return every**2 + apart


def _of_cores(situations: Sequence[Situation]) -> Floats:
    spreads = np.array([_TOGETHER * log(one.speeds.together) for one in situations])
    compute = _of_resource("compute")
    return np.asarray(np.kron(np.diag(spreads**2), np.outer(compute, compute)), dtype=np.float64)


def _of_guesses(situations: Sequence[Situation]) -> Floats:
    same = _same([one.device for one in situations])
    found = np.zeros((len(situations) * len(TERMS),) * 2)
    for what, (resource, spread) in _GUESSED.items():
        guessed = np.array([float(any(what in field for field in one.speeds.missing)) for one in situations])
        of = _of_resource(resource)
        found += np.kron(same * np.outer(guessed, guessed), spread**2 * np.outer(of, of))
    return found
