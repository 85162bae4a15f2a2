"""Trainings that come to nothing, noticed when they end: whatever the task, and torch-free."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....profiles.errors import StageError
from ...workload.metric import Array, Metric, Outputs

_DEALT = 8  # times that outputs are dealt to the samples at random
_MARGIN = 3.0  # standard deviations of those
_FEWEST = 20  # samples, below which nothing is said
_SAME = 1e-6  # of the largest output: less is one constant


def at_chance(outputs: Outputs, labels: Array, metric: Metric) -> bool:
    """Whether these outputs are no better than the same ones dealt to the samples at random.

    False where that cannot be told: few samples, or a metric that fails on such outputs.
    """
    if len(labels) < _FEWEST:
        return False
    order = np.random.default_rng(0)
    try:
        found = metric.score(outputs, labels, place="student on validation")
        dealt = [
            metric.score(
                _rows(outputs, order.permutation(len(labels))), labels, place="outputs dealt at random"
            )
            for _ in range(_DEALT)
        ]
    except StageError:
        return False
    sign = 1 if metric.higher_is_better else -1
    return sign * (found - float(np.mean(dealt))) <= _MARGIN * float(np.std(dealt))


def came_to_nothing(
    given: Outputs, answers: Array, labels: Array, metric: Metric, epochs: int, *, class_axis: int | None
) -> list[str]:
    """A remark on a trained student that learned nothing; none on one that did. `given` is what the metric
    reads, `answers` the primary output; along `class_axis` the largest one is the answer (None: none is)."""
    if epochs and len(labels) >= _FEWEST and _constant(answers, class_axis):
        return [
            f"the student answers every sample of validation alike after {epochs} epochs: it has learned "
            "nothing; check the learning rate, and labels of which one is nearly all"
        ]
    if epochs and at_chance(given, labels, metric):
        value = metric.score(given, labels, place="student on validation")
        return [
            f"the student is no better than chance after {epochs} epochs ({metric.name} {value:.4g} on "
            "validation, as its outputs in another order): train it longer, or at another learning rate"
        ]
    return []


def _constant(answers: Array, class_axis: int | None) -> bool:
    """Whether all samples get the same outputs, or the same class."""
    if class_axis is not None:
        return len(np.unique(answers.argmax(axis=class_axis))) == 1
    spread = np.ptp(answers.astype(np.float64), axis=0).max(initial=0.0)
    return bool(spread <= _SAME * np.abs(answers).max(initial=0.0))


def _rows(outputs: Outputs, order: Array) -> Outputs:
    if isinstance(outputs, Mapping):
        return {name: array[order] for name, array in outputs.items()}
    return outputs[order]
