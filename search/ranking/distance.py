"""How far a candidate is from the ideal point: each objective in units that can be added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt

from ..record.evaluation import Objective, Quantity
from ..record.metrics import metric_info

# Units in which a factor means the same everywhere, and the least value that is told from nothing.
_BY_FACTORS = {"ms": 1e-6, "bytes": 1e3, "count": 1.0, "/s": 1e-3, "mJ": 1e-6, "USD": 1e-9}


@dataclass(frozen=True, kw_only=True)
class DistanceScale:
    """The best value of each objective among some candidates, and how much counts as one whole step from it.

    Times, rates, sizes and counts are logarithms here, so that steps are factors; all else is as it is. A
    step is what the candidates span (nothing at all spans no factor), but at least the widest interval: less
    would rank noise. Where factors count, all objectives have the widest step of them, at least a factor of
    two: to be twice as slow weighs as much as to be twice as large, however much the candidates differ in
    either, and trifles stay trifles.
    """

    ideal: Mapping[str, float]
    step: Mapping[str, float]

    @classmethod
    def over(
        cls, objectives: Sequence[Objective], candidates: Sequence[Mapping[str, Quantity]]
    ) -> DistanceScale:
        """The scale that the metrics of these candidates span."""
        ideal, step = {}, {}
        for objective in objectives:
            metric = objective.metric
            found = [metrics[metric] for metrics in candidates if metric in metrics]
            if not found:
                continue
            values = [scaled(metric, quantity.value) for quantity in found]
            ideal[metric] = max(values) if objective.higher_is_better else min(values)
            widest = max(_width(metric, quantity) for quantity in found)
            some = [value for value in values if value > scaled(metric, 0.0)] if _floor(metric) else values
            step[metric] = max(max(some, default=0.0) - min(some, default=0.0), widest)
        factor = max([log(2), *(size for metric, size in step.items() if _floor(metric))])
        step = {metric: factor if _floor(metric) else size for metric, size in step.items()}
        return cls(ideal=ideal, step=step)

    def distance(self, metrics: Mapping[str, Quantity], weights: Mapping[str, float]) -> float:
        """Weighted Euclidean distance to the ideal point; weights count by their share.

        Infinite where an objective is not known, or where there is no ideal.
        """
        total = sum(weights.values()) or 1.0
        square = 0.0 if self.ideal else inf
        for metric, ideal in self.ideal.items():
            if metric not in metrics:
                return inf
            step = self.step[metric]
            offset = abs(scaled(metric, metrics[metric].value) - ideal) / step if step else 0.0
            square += weights[metric] / total * offset**2
        return sqrt(square)

    def ideal_values(self) -> dict[str, float]:
        """The ideal point in the metrics' own units."""
        return {m: exp(value) if _floor(m) else value for m, value in self.ideal.items()}


def _width(metric: str, quantity: Quantity) -> float:
    if quantity.low is None or quantity.high is None or (_floor(metric) and quantity.low <= 0):
        return 0.0  # nothing is no factor of something
    return scaled(metric, quantity.high) - scaled(metric, quantity.low)


def by_factors(metric: str) -> bool:
    """Whether values of a metric are compared by factors and not by differences."""
    return _floor(metric) > 0


def _floor(metric: str) -> float:
    """The least value of a metric that is compared by factors; 0 for all others."""
    return 1e-9 if metric == "latency_ratio" else _BY_FACTORS.get(metric_info(metric).unit, 0.0)


def scaled(metric: str, value: float) -> float:
    """The value in which differences count alike: a logarithm where factors do, else as it is."""
    floor = _floor(metric)
    return log(max(value, floor)) if floor else value
