"""What the searches over a recorded space came to: seconds to a share of the front, and the comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.exhaustive.bound import Order, clairvoyant, smallest_first
from benchmarks.exhaustive.driven import OURS
from benchmarks.exhaustive.simple import SIMPLE
from benchmarks.exhaustive.table import Recorded, objectives_of
from benchmarks.replay.summary import median_of, quartiles

GOALS = (0.95, 0.99)
COLUMNS = {"training_seconds": 0, "seconds": 1, "trainings": 2}
CURVE_POINTS = 24
PLAIN = "tpe"
STRONGEST_GOAL, PLAIN_GOAL = 1 / 2, 1 / 6
"""Training seconds to 99 % that ours may need, as a share of the strongest simple strategy's and of TPE's."""

Run = dict[str, Any]
Figures = dict[str, Any]


def figures(runs: Sequence[Run], table: Recorded) -> Figures:
    """One strategy's runs, seed by seed. None: not reached."""
    found: Figures = {}
    for goal in GOALS:
        for name, column in COLUMNS.items():
            found[_name(goal, name)] = [_to(run, goal, column) for run in runs]
    found["trials"] = [run["trials"] for run in runs]
    found["share"] = [round(run["share"], 5) for run in runs]
    total = whole(table)
    steps = [round(total * (index + 1) / CURVE_POINTS, 2) for index in range(CURVE_POINTS)]
    columns = [quartiles([_at(run, step) for run in runs]) for step in steps]
    shares = {
        name: [round(c[place], 5) for c in columns] for place, name in enumerate(("q25", "median", "q75"))
    }
    found["curve"] = {"training_seconds": steps, **shares}
    return found


def whole(table: Recorded) -> float:
    """Training seconds of the whole space, each training once."""
    return sum(training.seconds for training in table.trainings().values())


def yardsticks(table: Recorded) -> dict[str, Figures]:
    """What the best order in hindsight and the smallest models first would need, with one entry each."""
    return {"clairvoyant": _needed(table, clairvoyant), "smallest-first": _needed(table, smallest_first)}


def _needed(table: Recorded, order: Callable[[Recorded, float], Order]) -> Figures:
    found: Figures = {}
    for goal in GOALS:
        made = order(table, goal)
        found[_name(goal, "training_seconds")] = [made.seconds]
        found[_name(goal, "trainings")] = [len(made.trainings)]
        found[f"names_at_{round(100 * goal)}"] = list(made.trainings)
    return found


def ratios(found: dict[str, Figures]) -> dict[str, tuple[float, str, float]]:
    """Ours against the strongest simple strategy and against plain TPE, in median training seconds to 99 %:
    share, name of the other, share that is the goal."""
    what = _name(GOALS[-1], "training_seconds")
    simple = {name: median_of(found[name][what]) for name in SIMPLE if name in found}
    if OURS not in found or not simple:
        return {}
    ours, strongest = median_of(found[OURS][what]), min(simple, key=lambda name: simple[name])
    against = {"strongest": (strongest, STRONGEST_GOAL)}
    if PLAIN in simple:
        against["plain"] = (PLAIN, PLAIN_GOAL)
    # Where the other never gets there at all, any end of ours is within every share of it.
    return {
        key: (math.inf if math.isinf(ours) else ours / simple[name], name, goal)
        for key, (name, goal) in against.items()
    }


def print_tables(found: dict[str, Figures], table: Recorded) -> None:
    """The space, medians and quartiles of each strategy, and the comparison."""
    _print_space(table)
    for goal in GOALS:
        print(f"\nTo {goal:.0%} of the true hypervolume: median (quartiles) over seeds")
        print(f"  {'':26} {'training seconds':26} {'all seconds':26} trainings   reached")
        for strategy, values in found.items():
            cells = [_cell(values.get(_name(goal, name), [])) for name in COLUMNS]
            reached = values[_name(goal, "training_seconds")]
            count = f"{sum(value is not None for value in reached)} of {len(reached)}"
            print(f"  {strategy:26} {cells[0]:26} {cells[1]:26} {cells[2]:18} {count}")
    for share, name, goal in ratios(found).values():
        verdict = "reached" if share <= goal else "missed"
        print(f"{OURS}: {share:.3f} of {name}'s training seconds to 99 %, goal {goal:.3f}: {verdict}")


def _print_space(table: Recorded) -> None:
    rows = [row for row in table.rows.values() if not row.refused]
    trainings = table.trainings()
    print(
        f"{table.space.size} candidates, {len(rows)} of them can exist, {len(trainings)} trainings of "
        f"{whole(table):.1f} s in all; reference: accuracy {table.reference[0]:.4f}, "
        f"{table.reference[1]:.4g} ms, {table.reference[2]:.0f} bytes"
    )
    print("True front:")
    for candidate, point in front(table):
        print(f"  {point[0]:.4f} {point[1] * 1000:8.2f} us {point[2]:9.0f} B  {candidate}")


def front(table: Recorded) -> list[tuple[str, tuple[float, float, float]]]:
    """Candidates that none other is at least as good as everywhere, within the reference, by size."""
    found = {}
    for candidate in table.space.candidates():
        point = objectives_of(table.rows[candidate.digest])
        if point and all(a > b for a, b in zip(_costs(table.reference), _costs(point), strict=True)):
            found.setdefault(point, candidate.title)
    kept = [p for p in found if not any(q != p and _nowhere_worse(q, p) for q in found)]
    return [(found[point], point) for point in sorted(kept, key=lambda p: p[2])]


def _costs(point: tuple[float, float, float]) -> tuple[float, float, float]:
    return -point[0], point[1], point[2]


def _nowhere_worse(a: tuple[float, float, float], b: tuple[float, float, float]) -> bool:
    return all(x <= y for x, y in zip(_costs(a), _costs(b), strict=True))


def _name(goal: float, what: str) -> str:
    return f"{what}_to_{round(100 * goal)}"


def _to(run: Run, goal: float, column: int) -> float | None:
    return next((moment[column] for moment in run["history"] if moment[3] >= goal), None)


def _at(run: Run, training_seconds: float) -> float:
    return max((moment[3] for moment in run["history"] if moment[0] <= training_seconds), default=0.0)


def _cell(reached: Sequence[float | None]) -> str:
    if not reached:
        return "-"
    low, middle, high = quartiles([math.inf if value is None else value for value in reached])
    return f"{_told(middle)} ({_told(low)} - {_told(high)})" if len(reached) > 1 else _told(middle)


def _told(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.4g}"
