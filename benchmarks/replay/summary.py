"""What many searches came to: trainings to a share of the front, curves, and the comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.replay.runs import OPTUNAS_OWN, OURS

GOALS = (0.90, 0.95)
STEP = 5
"""The curves are given after so many trainings each, and after the seconds that so many take."""

Run = dict[str, Any]
Summary = dict[str, dict[str, dict[str, Any]]]


def summary(runs: Sequence[Run], budget: int) -> Summary:
    """Device -> sampler -> figures, lists with one entry per seed in order. None: not reached."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run["device"], run["sampler"]), []).append(run)
    found: Summary = {}
    for (device, sampler), group in groups.items():
        found.setdefault(device, {})[sampler] = _figures(sorted(group, key=lambda r: r["seed"]), budget)
    return found


def trainings_to(run: Run, goal: float) -> int | None:
    """Trainings until the share of the hypervolume is reached."""
    return next((n for n, (_, share) in enumerate(run["history"], start=1) if share >= goal), None)


def seconds_to(run: Run, goal: float) -> float | None:
    """Simulated seconds, measurements included, until the share of the hypervolume is reached."""
    return next((seconds for seconds, share in run["history"] if share >= goal), None)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile, interpolated; infinities may be among the values."""
    ordered = sorted(values)
    return _quantile(ordered, 0.25), _quantile(ordered, 0.5), _quantile(ordered, 0.75)


def median_of(reached: Sequence[float | None]) -> float:
    """The median; what was not reached counts as more than any number."""
    return quartiles([math.inf if value is None else value for value in reached])[1]


def ratio(figures: dict[str, dict[str, Any]], what: str, budget: int) -> tuple[float, str, bool] | None:
    """How many times fewer trainings ours needs than the best of Optuna's own: the ratio, the name of that
    one, and whether the ratio is only a lower bound since none of these got there. None: ours did not, or
    one of the two was not run."""
    others = {name: median_of(figures[name][what]) for name in OPTUNAS_OWN if name in figures}
    if not others or OURS not in figures:
        return None
    best = min(others, key=lambda name: others[name])
    ours = median_of(figures[OURS][what])
    if math.isinf(ours):
        return None
    return min(others[best], budget + 1) / ours, best, math.isinf(others[best])


def print_tables(found: Summary, budget: int) -> None:
    """Medians and quartiles for each device and sampler, then the comparison."""
    for goal in GOALS:
        what = _name(goal)
        print(f"\nUnique trainings to {goal:.0%} of the true hypervolume: median (quartiles)")
        for device, figures in found.items():
            for sampler, values in figures.items():
                reached = [math.inf if n is None else n for n in values[what]]
                low, middle, high = (_told(value, budget) for value in quartiles(reached))
                count = sum(not math.isinf(n) for n in reached)
                measured = quartiles(values["measured"])[1]
                print(
                    f"  {device:16} {sampler:16} {middle:>6} ({low} - {high}), reached by {count} of "
                    f"{len(reached)}, {measured:.0f} measurements"
                )
        _print_ratios(found, what, budget)


def _print_ratios(found: Summary, what: str, budget: int) -> None:
    ratios = {device: ratio(figures, what, budget) for device, figures in found.items()}
    if not any(OURS in figures for figures in found.values()):
        return
    print(f"  {OURS} against the best of {', '.join(OPTUNAS_OWN)}:")
    for device, known in ratios.items():
        if known is None:
            print(f"    {device:16} not reached")
        else:
            print(
                f"    {device:16} {'at least ' if known[2] else ''}{known[0]:.2f} times fewer than {known[1]}"
            )
    numbers = [0.0 if known is None else known[0] for known in ratios.values()]
    print(f"    median device    {quartiles(numbers)[1]:.2f}")


def _figures(group: list[Run], budget: int) -> dict[str, Any]:
    figures: dict[str, Any] = {_name(goal): [trainings_to(run, goal) for run in group] for goal in GOALS}
    figures.update(
        {f"seconds_to_{goal:.0%}"[:-1]: [seconds_to(run, goal) for run in group] for goal in GOALS}
    )
    figures["measured"] = [run["measured"] for run in group]
    figures["trials"] = [run["trials"] for run in group]
    steps = list(range(STEP, budget + 1, STEP))
    shares = [[_after(run, n) for n in steps] for run in group]
    figures["curve"] = {"trainings": steps, **_curve(shares)}
    last = max((run["seconds"] for run in group), default=0.0)
    times = [round(last * (index + 1) / 20, 1) for index in range(20)]
    figures["curve_seconds"] = {"seconds": times, **_curve([[_at(run, t) for t in times] for run in group])}
    return figures


def _name(goal: float, what: str = "trainings") -> str:
    return f"{what}_to_{round(100 * goal)}"


def _curve(shares: list[list[float]]) -> dict[str, list[float]]:
    columns = [quartiles(column) for column in zip(*shares, strict=True)]
    names = ("q25", "median", "q75")
    return {name: [round(column[index], 5) for column in columns] for index, name in enumerate(names)}


def _after(run: Run, trainings: int) -> float:
    history = run["history"][:trainings]
    return float(history[-1][1]) if history else 0.0


def _at(run: Run, seconds: float) -> float:
    return max((float(share) for when, share in run["history"] if when <= seconds), default=0.0)


def _quantile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low if low == high else low + (high - low) * (place - math.floor(place))


def _told(value: float, budget: int) -> str:
    return f">{budget}" if math.isinf(value) else f"{value:g}"
