"""One choice at a time: what a space asks of a trial, and trials that answer at random."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any, Protocol


class Chooser(Protocol):
    """The part of an Optuna trial that the space needs."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None) -> float:
        """A number between the bounds."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """A whole number between the bounds."""


class Drawer:
    """A chooser that answers at random."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Any of the choices."""
        return self.rng.choice(choices)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None) -> float:
        """Any number between the bounds."""
        return self.rng.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Any whole number between the bounds."""
        return self.rng.randrange(low, high + 1, step)


def pick(trial: Chooser, name: str, values: tuple[Any, ...]) -> Any:
    """One of `values`. A single one is no parameter; evenly spaced numbers keep their order."""
    if len(values) == 1:
        return values[0]
    spacing = _spacing(values)
    if spacing is None:
        return trial.suggest_categorical(name, values)
    low, high = min(values), max(values)
    if all(isinstance(value, int) for value in values):
        chosen: float = trial.suggest_int(name, low, high, step=int(spacing))
    else:
        chosen = trial.suggest_float(name, low, high, step=spacing)
    return min(values, key=lambda value: abs(value - chosen))


def _spacing(values: tuple[Any, ...]) -> float | None:
    if (
        any(isinstance(value, bool) or not isinstance(value, int | float) for value in values)
        or len(values) < 3
    ):
        return None
    ordered = sorted(values)
    steps = [b - a for a, b in itertools.pairwise(ordered)]
    return steps[0] if all(math.isclose(step, steps[0], rel_tol=1e-9) for step in steps) else None


def axis_name(axis: str) -> str:
    """The parameter of a student's axis."""
    # Users' builders may well take a `model` or a `temperature`, which are names of the space itself.
    own = ("backend", "model", "per_channel", "temperature", "distill_weight", "hidden_weight")
    taken = axis in own or axis.startswith(("sparsity", "precision_", "calibration_", "student_", "order"))
    return f"student_{axis}" if taken else axis
