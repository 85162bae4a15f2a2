"""Latencies of models on situations that were not measured, from those that were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from ...profiles.errors import UserError
from ...profiles.quantity import Quantity
from ...profiles.words import listed
from .costs import ModelCost
from .fit import Fit, Points
from .situation import Situation
from .terms import TERMS, Floats, bound_ms, terms_ms

COVERS = 0.90
"""How often the truth lies in the interval of an estimate."""
MOST_OF_A_SITUATION = 60
"""Of one situation, so many measurements count at most: those with the most different costs."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A model of known cost on a situation."""

    cost: ModelCost
    situation: Situation


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A latency that was measured."""

    of: Configuration
    latency_ms: float


class LatencyEstimator:
    """Learns from all that was `observed`: other devices, other runtimes on this one, or the very situation.

    Raises:
        UserError: a profile does not say enough, or a latency is no positive number.
    """

    def __init__(self, observed: Iterable[Observed] = ()) -> None:
        self._observed = _fewer(observed)
        self._fits: dict[tuple[Situation, ...], Fit] = {}

    def latencies(self, wanted: Sequence[Configuration]) -> tuple[Quantity, ...]:
        """Milliseconds, with an interval that covers the truth in COVERS of cases."""
        logs, spreads = self.logarithms(wanted)
        how = {one.situation: self._how(one.situation) for one in wanted}
        return tuple(
            Quantity(
                value=float(np.exp(log)),
                low=float(np.exp(log - spread)),
                high=float(np.exp(log + spread)),
                provenance="estimated",
                how=how[one.situation],
            )
            for one, log, spread in zip(wanted, logs, spreads, strict=True)
        )

    def logarithms(self, wanted: Sequence[Configuration]) -> tuple[Floats, Floats]:
        """Natural logarithms of milliseconds, and half the width of each one's interval."""
        if not wanted:
            return np.zeros(0), np.zeros(0)
        situations = tuple(dict.fromkeys(one.situation for one in (*self._of_observed, *wanted)))
        fit = self._fit(situations)
        points = _points(wanted, situations)
        logs, spreads = fit.predicted(points)
        return logs, spreads * t.ppf((1 + COVERS) / 2, fit.freedom[points.places])

    @property
    def _of_observed(self) -> list[Configuration]:
        return [one.of for one in self._observed]

    def _fit(self, situations: tuple[Situation, ...]) -> Fit:
        if situations not in self._fits:
            logs = np.log(np.array([one.latency_ms for one in self._observed]))
            self._fits[situations] = Fit(situations, _points(self._of_observed, situations), logs)
        return self._fits[situations]

    def _how(self, situation: Situation) -> str:
        own = sum(one.of.situation == situation for one in self._observed)
        others = len({one.of.situation for one in self._observed} - {situation})
        parts = ["roofline by layer"]
        if others:
            parts.append(f"kernels' efficiency from {others} other situation{'s' if others > 1 else ''}")
        if own:
            parts.append(f"corrected by {own} measurement{'s' if own > 1 else ''}")
        if situation.speeds.missing:
            parts.append(f"guessed, as the profile does not say: {listed(situation.speeds.missing)}")
        return f"{'; '.join(parts)}; interval of {COVERS:.0%}"


def _points(of: Sequence[Configuration], situations: Sequence[Situation]) -> Points:
    place = {situation: number for number, situation in enumerate(situations)}
    terms = [terms_ms(one.cost, one.situation) for one in of]
    return Points(
        terms=np.array(terms).reshape(len(of), len(TERMS)),
        places=np.array([place[one.situation] for one in of], dtype=np.int64),
    )


def _fewer(observed: Iterable[Observed]) -> tuple[Observed, ...]:
    by_situation: dict[Situation, list[Observed]] = {}
    for one in observed:
        if not (np.isfinite(one.latency_ms) and one.latency_ms > 0):
            raise UserError("a latency is no positive number", found=f"{one.latency_ms}")
        by_situation.setdefault(one.of.situation, []).append(one)
    kept: list[Observed] = []
    for of_one in by_situation.values():
        kept += of_one[:MOST_OF_A_SITUATION]
    return tuple(kept)


__all__ = ["COVERS", "Configuration", "LatencyEstimator", "Observed", "bound_ms"]
