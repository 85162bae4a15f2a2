"""How a run's score grew with its time, and how much of a difference between runs is luck of the draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scoring import Box, Candidate, Point, own_front

RESAMPLES = 400
Interval = tuple[float, float]


def ever_on_front(candidates: Sequence[Candidate]) -> list[int]:
    """The places of all that were on the tool's own front at some moment, in the order of their ends."""
    order = sorted(range(len(candidates)), key=lambda place: candidates[place].finished_s)
    fronts = [own_front([candidates[place] for place in order[: count + 1]]) for count in range(len(order))]
    return [place for count, place in enumerate(order) if count in fronts[count]]


@dataclass(frozen=True)
class Course:
    """One run: its candidates, and what the harness found of those that were ever on its own front."""

    box: Box
    candidates: Sequence[Candidate]
    points: Mapping[int, Point]

    def front_at(self, seconds: float) -> list[int]:
        """The places of what the tool's own front had by then, as far as it runs."""
        places = [p for p, candidate in enumerate(self.candidates) if candidate.finished_s <= seconds]
        chosen = own_front([self.candidates[place] for place in places])
        return [places[one] for one in chosen if places[one] in self.points]

    def volume_at(self, seconds: float) -> float:
        return self._volume(self.front_at(seconds), None)

    def steps(self) -> list[tuple[float, float]]:
        """The volume after each end of a candidate that changed it: pairs of seconds and volume."""
        found = [(0.0, 0.0)]
        for seconds in sorted({self.candidates[place].finished_s for place in self.points}):
            volume = self.volume_at(seconds)
            if volume != found[-1][1]:
                found.append((seconds, volume))
        return found

    def reached(self, volume: float) -> float | None:
        """After how many seconds the volume was there to stay; None where it never was."""
        since = None
        for seconds, here in self.steps():
            since = None if here < volume else seconds if since is None else since
        return since

    def drawn(self, draws: Sequence[NDArray[np.int64]]) -> list[float]:
        """The final volume on each of other draws of the test rows."""
        places = self.front_at(float("inf"))
        return [self._volume(places, rows) for rows in draws]

    def _volume(self, places: Sequence[int], rows: NDArray[np.int64] | None) -> float:
        points = [self.points[place] for place in places]
        return self.box.volume([(_accuracy(point, rows), *point.costs) for point in points])


def _accuracy(point: Point, rows: NDArray[np.int64] | None) -> float:
    if rows is None:
        return point.accuracy
    right = np.ones(point.rows, bool)
    right[list(point.wrong)] = False
    return float(right[rows].mean())


def draws_of(rows: int, seed: int) -> list[NDArray[np.int64]]:
    """Other draws of as many test rows (bootstrap)."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, rows, rows) for _ in range(RESAMPLES)]


def interval(values: Sequence[float]) -> Interval:
    """95 % of the values."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def volume_interval(course: Course, draws: Sequence[NDArray[np.int64]]) -> Interval:
    """Of the final volume, over draws of the test rows."""
    return interval(course.drawn(draws))


def compared(
    ours: Sequence[Course], others: Sequence[Course], seconds: float, draws: Sequence[NDArray[np.int64]]
) -> dict[str, Any]:
    """Ours against another tool, repeat by repeat: the difference of the final volumes, the interval of its
    mean that other draws of the test rows give (the same rows for both tools and all repeats), and the share
    of the time after which ours had the other's final volume to stay (None: never)."""
    pairs = list(zip(ours, others, strict=True))
    differences = [one.volume_at(seconds) - other.volume_at(seconds) for one, other in pairs]
    drawn = [np.subtract(one.drawn(draws), other.drawn(draws)) for one, other in pairs]
    reached = [one.reached(other.volume_at(seconds)) for one, other in pairs]
    return {
        "difference": differences,
        "mean_difference": mean(differences),
        "interval": interval(np.mean(drawn, axis=0).tolist()),
        "intervals": [interval(one.tolist()) for one in drawn],
        "share_of_time": [None if at is None else at / seconds for at in reached],
    }
