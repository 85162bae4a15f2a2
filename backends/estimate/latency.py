"""Latencies of models on situations that were not measured, from those that were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...profiles.errors import UserError
from ...profiles.quantity import Quantity
from ...profiles.words import listed
from .choice import evenly, most_telling
from .costs import ModelCost
from .fit import Fit, Points
from .rests import COVERS
from .situation import Situation
from .terms import TERMS, Floats, bound_ms, terms_ms

TO_MEASURE = 10
"""Measurements of a device that correct its estimates well."""
MOST_COMPARED = 400
MOST_OF_ALL, MOST_OF_A_SITUATION, LEAST_OF_A_SITUATION = 400, 60, 12
"""So many measurements count at most, of all and of one situation: from short to long latencies."""


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
        fit, points = self._fitted(wanted)
        return fit.predicted(points)

    def cases(self, wanted: Sequence[Configuration], own: Floats) -> Floats:
        """[wanted, cases] milliseconds as they may be, see `Fit.cases`: so two of them can be compared, which
        have most of what is not known in common. Cases of two calls are the same where both ask for the same
        situations in the same order."""
        fit, points = self._fitted(wanted)
        found: Floats = np.exp(fit.cases(points, own))
        return found

    def to_measure(self, wanted: Sequence[Configuration], count: int = TO_MEASURE) -> tuple[int, ...]:
        """Which of the configurations tell most of all of them when they are measured: their places, the one
        that tells most first.
        """
        if not wanted:
            return ()
        fit, points = self._fitted(wanted)
        logs, _ = fit.predicted(points)
        among = evenly(logs, MOST_COMPARED)
        chosen = most_telling(*fit.together(points.of(among)), count)
        return tuple(int(among[place]) for place in chosen)

    def _fitted(self, wanted: Sequence[Configuration]) -> tuple[Fit, Points]:
        situations = tuple(dict.fromkeys(one.situation for one in (*self._of_observed, *wanted)))
        if situations not in self._fits:
            logs = np.log(np.array([one.latency_ms for one in self._observed]))
            self._fits[situations] = Fit(situations, _points(self._of_observed, situations), logs)
        return self._fits[situations], _points(wanted, situations)

    @property
    def _of_observed(self) -> list[Configuration]:
        return [one.of for one in self._observed]

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
    most = min(MOST_OF_A_SITUATION, max(LEAST_OF_A_SITUATION, MOST_OF_ALL // max(1, len(by_situation))))
    for of_one in by_situation.values():
        of_one.sort(key=lambda one: one.latency_ms)
        places = evenly(np.array([one.latency_ms for one in of_one]), most)
        kept += [of_one[place] for place in places]
    return tuple(kept)


__all__ = ["COVERS", "Configuration", "LatencyEstimator", "Observed", "bound_ms"]
