"""A table of architectures as a search problem: its axes, its space, its limit and its true front."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe, Scalar
from paretune.search.record.limits import LimitSpec
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.space.space import STUDENT, BackendChoices, Chooser, Space

from benchmarks.replay.cells import told_of_cell
from benchmarks.replay.curves import Columns, Curve, curves_of
from benchmarks.replay.proxies import columns_of, defined, joined, proxies_told
from benchmarks.simulation.recorded import (
    LATENCY,
    OBJECTIVES,
    Point,
    Recorded,
    RecordedTraining,
    Row,
    Student,
    volume_of,
)

POINTS_BELOW = 0.20
"""The reference accuracy lies so far under the best one."""
TRAIN_SECONDS, MEASURE_SECONDS = 600.0, 1.0
EDGE = re.compile(r"([^|~+]+)~(\d+)")
RECIPE = Recipe(epochs=1)


class _Students:
    """A trial that is never asked whether it wants the teacher."""

    def __init__(self, trial: Chooser) -> None:
        self.trial = trial

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return STUDENT if name == "model" else self.trial.suggest_categorical(name, choices)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trial, name)


@dataclass(frozen=True, kw_only=True)
class TableSpace(Space):
    """The table's axes and nothing else, so that no sampler is troubled by parameters that are conditional.

    The teacher is no choice here. The trial that stands for it is asked for as a baseline, with the axes of
    the row that it stands for.
    """

    teacher: Student

    def suggest(self, trial: Chooser) -> Candidate:
        student = super().suggest(_Students(trial))
        return self.baselines()[0] if getattr(trial, "user_attrs", {}).get("baseline") else student

    def params(self, candidate: Candidate) -> dict[str, Any]:
        axes = replace(candidate, student=self.teacher, recipe=self.recipe)
        return super().params(axes if candidate.is_teacher else candidate)

    @property
    def size(self) -> int:
        """Number of combinations, in the table or not, and the teacher."""
        return 1 + math.prod(len(values) for values in self.student_axes.values())


def _space(axes: Mapping[str, tuple[Scalar, ...]], teacher: Student, epochs: int) -> TableSpace:
    """One backend, fp32, dense, so that a candidate is one architecture."""
    backend = BackendChoices(
        name="table", precisions=(Precision.FP32,), calibration_methods=(), sparsities=("dense",)
    )
    return TableSpace(
        backends=(backend,),
        student_axes=axes,
        temperatures=(RECIPE.temperature,),
        weights=(RECIPE.distill_weight,),
        calibration_samples=(),
        per_channel=(True,),
        recipe=replace(RECIPE, epochs=epochs),
        teacher=teacher,
    )


def _nothing_told(student: Student) -> Untrained:
    return UNTOLD


@dataclass(frozen=True)
class Told:
    """What is known of untrained students: at once by their axes, and once they are measured; and how their
    trainings go, where the table tells it."""

    at_once: Callable[[Student], Untrained] = _nothing_told
    measured: Callable[[Student], Untrained] = _nothing_told
    curves: Mapping[Student, Curve] = field(default_factory=dict)
    epochs: int = 1


NOTHING_TOLD = Told()


@lru_cache(maxsize=8)
def load_problem(
    path: Path,
    accuracy: str,
    latency: str,
    others: tuple[str, ...],
    features: Path | None = None,
    curve: Columns = (),
) -> Recorded:
    """Read one device's problem. `others` are the columns that are neither axes nor these metrics.

    Rows without a figure are left out; several rows of one combination are averaged. Accuracies above 1 are
    taken for percent. Columns that begin with `proxy_`, here or in the file `features`, are what a
    measurement tells beside the latency. `curve` has columns of the accuracy on the way to `accuracy`.
    """
    on_the_way = tuple(name for _, name in curve if name != accuracy)
    metrics = (accuracy, latency, *on_the_way)
    table = read_table(path, metrics)
    table = table.drop(columns=[name for name in others if name in table and name not in metrics])
    cells = "arch" in table
    if features:
        table = joined(table, read_table(features, ()), _axes(table, metrics), features)
    table = _edges(table) if cells else table
    table = defined(table).dropna(subset=[accuracy, latency])
    axes = _axes(table, metrics)
    if not axes or table.empty:
        raise UserError("this table has no axes or no rows", place=str(path), found=", ".join(table))
    table = table.groupby(axes, as_index=False, dropna=False).mean()
    if table[accuracy].max() > 1:
        table[[accuracy, *on_the_way]] = table[[accuracy, *on_the_way]] / 100
    order = sorted(axes)
    keys = zip(*(table[axis].tolist() for axis in order), strict=True)
    students = [tuple(zip(order, key, strict=True)) for key in keys]
    values = zip(table[accuracy].tolist(), table[latency].tolist(), strict=True)
    points = dict(zip(students, values, strict=True))
    choices = {axis: tuple(sorted(set(table[axis].tolist()))) for axis in axes}
    by_measuring = _proxies(students, table)
    known = Told(
        at_once=told_of_cell if cells else _nothing_told,
        measured=lambda one: by_measuring.get(one, UNTOLD),
        curves=curves_of(table, curve, students) if curve else {},
        epochs=curve[-1][0] if curve else 1,
    )
    return problem_of(choices, points, float(table[latency].median()), known)


def _axes(table: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    return [name for name in table if name not in (*metrics, *columns_of(table))]


def _proxies(students: Sequence[Student], table: pd.DataFrame) -> dict[Student, Untrained]:
    names = columns_of(table)
    return {
        one: proxies_told(row, names) for one, row in zip(students, table[names].values.tolist(), strict=True)
    }


def problem_of(
    axes: Mapping[str, tuple[Scalar, ...]],
    points: Mapping[Student, tuple[float, float]],
    limit_ms: float,
    told: Told = NOTHING_TOLD,
) -> Recorded:
    """Accuracy (a share) against latency (ms) on one device, over every combination of the axes.

    `points` maps a student to its accuracy and latency; a search must stay within the limit. The slowest row
    whose accuracy is above the reference (the slowest of all, where none over the limit is) stands in for the
    uncompressed teacher that every search begins with: it is real, free for every sampler alike, and over the
    limit, so worth nothing in hypervolume.
    """
    objectives = OBJECTIVES[:2]
    reference = (max(accuracy for accuracy, _ in points.values()) - POINTS_BELOW, limit_ms)
    volume = volume_of(list(points.values()), reference, objectives)
    over = [student for student, (_, latency) in points.items() if latency > limit_ms]
    if volume <= 0 or not over:
        raise UserError(
            "nothing to search for: no row is under the median latency and less than 20 points worse than "
            "the best, or all latencies are the same",
            found=f"best accuracy less 20 points {reference[0]:.4g}, median latency {limit_ms:.4g} ms",
        )
    teacher = max(over, key=lambda student: (points[student][0] > reference[0], points[student][1]))
    limit = LimitSpec(text=f"latency <= {limit_ms:g} ms", metric=LATENCY, upper=True, bound=limit_ms)

    def row(candidate: Candidate) -> Row | None:
        student = candidate.student or teacher
        return _row(candidate, points[student], student, told) if student in points else None

    return Recorded(
        space=_space(axes, teacher, told.epochs),
        row=row,
        objectives=objectives,
        reference=reference,
        volume=volume,
        limits=(limit,),
    )


def _row(candidate: Candidate, point: Point, student: Student, told: Told) -> Row:
    key = " ".join(f"{axis}={value}" for axis, value in candidate.student)
    training = RecordedTraining(
        key=key,
        kind="distill",
        seconds=TRAIN_SECONDS,
        epochs=told.epochs,
        curve=told.curves.get(student, ()),
        quality=point[0],
    )
    return Row(
        quality=point[0],
        quality_low=point[0],
        quality_high=point[0],
        hardware={LATENCY: point[1]},
        trainings=(training,) if candidate.student else (),
        measure_seconds=MEASURE_SECONDS,
        untrained=told.at_once(student),
        measured_with_it=told.measured(student),
    )


def read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """The table; it must have these columns."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError("cannot read the table", place=str(path), found=str(error)) from error
    missing = [name for name in needed if name not in table]
    if missing:
        problem = f"the table has no column {', '.join(missing)}"
        raise UserError(problem, place=str(path), accepted=", ".join(table.columns))
    return table


def _edges(table: pd.DataFrame) -> pd.DataFrame:
    """The column `arch` in NAS-Bench-201 notation as one axis per edge: `op_NODE_SOURCE`."""
    rows = []
    for text in map(str, table["arch"]):
        parts = enumerate(text.split("+"), start=1)
        rows.append({f"op_{node}_{source}": op for node, part in parts for op, source in EDGE.findall(part)})
        if rows[-1].keys() != rows[0].keys() or not rows[-1]:
            accepted = "|op~0|+|op~0|op~1|+..."
            raise UserError("cannot read this architecture", found=repr(text), accepted=accepted)
    return pd.concat([pd.DataFrame(rows, index=table.index), table.drop(columns="arch")], axis=1)
