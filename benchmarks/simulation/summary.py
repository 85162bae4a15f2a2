"""What many searches came to: what they spent until a share of the front, and curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.simulation.runs import Run

COLUMNS = {"training_seconds": 0, "seconds": 1, "trainings": 2, "epochs": 4, "latest": 5}
"""Of a run's history. `epochs` are in whole trainings: a quarter of one is 0.25. `latest` counts the
trainings that were begun up to the latest of those which the share rests on; others were begun after it."""
SHARE = 3
"""The column of the share of the true front's hypervolume."""
Figures = dict[str, Any]


def moment(
    training_seconds: float, seconds: float, trainings: int, share: float, epochs: float, latest: int
) -> list[float]:
    """A line of a run's history: what was spent when it came to that share."""
    spent = [round(training_seconds, 3), round(seconds, 3), trainings]
    return [*spent, round(share, 6), round(epochs, 4), latest]


def figures(runs: Sequence[Run], goals: Iterable[float]) -> Figures:
    """One strategy's runs, seed by seed: what each spent to the goals (None: not reached), and came to."""
    found: Figures = {
        reaching(goal, name): [_spent(run, goal, column) for run in runs]
        for goal in goals
        for name, column in COLUMNS.items()
    }
    found.update({name: [run[name] for run in runs] for name in ("measured", "trials")})
    return {**found, "share": [round(run["share"], 5) for run in runs]}


def reaching(goal: float, what: str) -> str:
    """The name of a figure: what was spent to a share."""
    return f"{what}_to_{round(100 * goal)}"


def curve(runs: Sequence[Run], what: str, steps: Sequence[float]) -> dict[str, Sequence[float]]:
    """Median and quartiles of the share, after so many trainings or seconds each."""
    columns = [quartiles([_share(run, COLUMNS[what], step) for run in runs]) for step in steps]
    shares = zip(("q25", "median", "q75"), zip(*columns, strict=True), strict=True)
    return {what: list(steps), **{name: [round(value, 5) for value in values] for name, values in shares}}


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile, interpolated; infinities may be among the values."""
    ordered = sorted(values)
    return _quantile(ordered, 0.25), _quantile(ordered, 0.5), _quantile(ordered, 0.75)


def median_of(reached: Iterable[float | None]) -> float:
    """The median; what was not reached counts as more than any number."""
    return quartiles(map(_or_never, reached))[1]


def best_of(found: dict[str, Figures], names: Iterable[str], what: str) -> tuple[str, float]:
    """Which of these strategies has the least median, and that; infinite where there is none."""
    medians = {name: median_of(found[name][what]) for name in names if name in found}
    return min(medians.items(), key=lambda pair: pair[1], default=("none", math.inf))


def print_reached(found: dict[str, Figures], goal: float, columns: Sequence[str]) -> None:
    """A line per strategy: median and quartiles over the seeds of each figure, and how many got there."""
    print(f"\nTo {goal:.0%} of the true hypervolume: median (quartiles) over seeds")
    print(f"  {'':30}" + "".join(f"{name.replace('_', ' '):26}" for name in columns) + "reached")
    for strategy, values in found.items():
        cells = [_cell(values.get(reaching(goal, name), values.get(name))) for name in columns]
        reached = values[reaching(goal, columns[0])]
        count = f"{sum(value is not None for value in reached)} of {len(reached)}"
        print(f"  {strategy:30}" + "".join(f"{cell:26}" for cell in cells) + count)


def _spent(run: Run, goal: float, column: int) -> float | None:
    found = next((moment for moment in run["history"] if moment[SHARE] >= goal), ())
    return found[column] if column < len(found) else None  # runs of before all was counted have fewer


def _share(run: Run, column: int, spent: float) -> float:
    return max((moment[SHARE] for moment in run["history"] if moment[column] <= spent), default=0.0)


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low if low == high else low + (high - low) * (place - math.floor(place))


def _or_never(value: float | None) -> float:
    return math.inf if value is None else value


def _cell(reached: Sequence[float | None]) -> str:
    low, middle, high = (_told(value) for value in quartiles(map(_or_never, reached)))
    return f"{middle} ({low} - {high})"


def _told(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.4g}"
