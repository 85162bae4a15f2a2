"""A recorded space, read from the small table in the repository.

A table is a directory: `points.csv.gz` has one row per candidate, `trainings.csv` one per training,
`about.json` the axes of the space, the teacher, the machine and the date; `untrained.json`, where it is
there, what each network tells before its training.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from paretune.profiles.errors import UserError
from paretune.search.record.candidate import Candidate
from paretune.search.record.training import needed
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.space.space import Space
from pydantic import TypeAdapter

from benchmarks.command import bare_parser_of
from benchmarks.exhaustive.told import network_of, read_untrained
from benchmarks.simulation.evaluator import NORMAL_95
from benchmarks.simulation.recorded import (
    LATENCY,
    OBJECTIVES,
    QUALITY,
    SIZE,
    Recorded,
    RecordedTraining,
    Row,
    point_of,
    volume_of,
)

POINTS, TRAININGS, ABOUT = "points.csv.gz", "trainings.csv", "about.json"
FORM = ("sparsity", "backend", "precision", "calibration")
"""Columns that tell candidates of one student apart."""
HARDWARE = (LATENCY, SIZE, "memory_bytes", "parameters", "macs")
SPACE = TypeAdapter(Space)
POINTS_BELOW = 0.05
"""The reference accuracy lies so far under the best one."""


@lru_cache(maxsize=4)
def load_recorded(directory: Path) -> Recorded:
    """Read a table: accuracy, latency and size of every candidate. The teacher's simple choices cost nothing,
    for every strategy alike.

    Raises:
        UserError: a file is missing, cannot be read, or does not hold the whole space.
    """
    try:
        space = SPACE.validate_python(json.loads((directory / ABOUT).read_text())["space"])
        axes = list(space.student_axes)
        points = _read_csv(directory / POINTS, axes)
        trainings = _read_csv(directory / TRAININGS, axes)
        untrained = read_untrained(directory)
    except (OSError, ValueError) as error:
        raise UserError("cannot read the table", place=str(directory), found=str(error)) from error
    known = {_key(row, (*axes, "sparsity")): _training(row, axes) for row in trainings}
    found = {_key(row, (*axes, *FORM)): row for row in points}
    variants = Counter(candidate.backend for candidate in space.candidates() if candidate.is_teacher)
    rows, noise = {}, {}
    for candidate in space.candidates():
        named = named_in_table(candidate, axes)
        row = found.get(_key(named, (*axes, *FORM)))
        if row is None:
            raise UserError("a candidate is not in the table", place=str(directory), found=candidate.title)
        steps = [{**named, "sparsity": training.sparsity} for training in needed(candidate)]
        paid = tuple(known[_key(step, (*axes, "sparsity"))] for step in steps)
        told = untrained.get(network_of(candidate), UNTOLD)
        rows[candidate.digest] = _row(row, paid, variants[candidate.backend], told)
        if not rows[candidate.digest].refused:
            spread = (row["latency_ms_high"] - row["latency_ms_low"]) / 2 / NORMAL_95 / row[LATENCY]
            noise[candidate.digest] = spread
            noise.setdefault(candidate.hardware_class().digest, spread)
    return _judged(space, rows, noise)


def named_in_table(candidate: Candidate, axes: Sequence[str]) -> dict[str, str]:
    """What a table calls a candidate, by column."""
    student = dict(candidate.student)
    form = (candidate.sparsity, candidate.backend, str(candidate.precision), candidate.calibration_method)
    return {**{axis: str(student.get(axis, "")) for axis in axes}, **dict(zip(FORM, form, strict=True))}


def _key(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[column] for column in columns)


def _read_csv(path: Path, axes: Sequence[str]) -> list[dict[str, Any]]:
    text = [*axes, "calibration", "reason", "stability", "outcome", "curve"]
    table = pd.read_csv(path, dtype=dict.fromkeys(text, str))
    for name in set(text) & set(table):
        table[name] = table[name].fillna("")
    return table.to_dict("records")  # type: ignore[return-value]


def _training(row: Mapping[str, Any], axes: Sequence[str]) -> RecordedTraining:
    """A training. It costs processor seconds where they are known, since other work loaded the machine."""
    named = " ".join(f"{axis}={row[axis]}" for axis in sorted(axes) if row[axis]) or "teacher"
    pairs = (pair.split(":") for pair in row["curve"].split())
    cpu = row["cpu_seconds"]
    return RecordedTraining(
        key=f"{named} {row['sparsity']}",
        kind=row["stage"],
        seconds=row["wall_seconds"] if math.isnan(cpu) else cpu,
        epochs=int(row["epochs"]),
        curve=tuple((int(epoch), float(value)) for epoch, value in pairs),
        quality=row["quality"],
        work=row["work"],
    )


def _row(
    row: Mapping[str, Any], trainings: tuple[RecordedTraining, ...], variants: int, told: Untrained
) -> Row:
    """A row. The export is shared by the variants of a model on a backend, so each bears a part of it."""
    refused = "" if row["outcome"] == "complete" else f"{row['outcome']}: {row['reason']}"
    seconds = {name: _number(row[f"{name}_seconds"]) for name in ("export", "compile", "score", "measure")}
    return Row(
        quality=_number(row[QUALITY]),
        quality_low=_number(row[f"{QUALITY}_low"]),
        quality_high=_number(row[f"{QUALITY}_high"]),
        hardware={} if refused else {name: row[name] for name in HARDWARE},
        trainings=trainings,
        compile_seconds=seconds["compile"] + seconds["export"] / variants,
        score_seconds=seconds["score"],
        measure_seconds=seconds["measure"],
        untrained=replace(told, proxies={}),
        measured_with_it=told,
        refused=refused,
    )


def _number(value: float) -> float:
    return 0.0 if math.isnan(value) else float(value)


def _judged(space: Space, rows: dict[str, Row], noise: Mapping[str, float]) -> Recorded:
    points = [point_of(row, OBJECTIVES) for row in rows.values() if not row.refused]
    simple = [candidate.digest for candidate in space.baselines()]
    if rows[simple[0]].refused:
        raise UserError("the uncompressed teacher is not in the table, which everything is stated against")
    for digest in simple:
        rows[digest] = replace(rows[digest], compile_seconds=0.0, score_seconds=0.0, measure_seconds=0.0)
    best = max(point[0] for point in points)
    reference = (best - POINTS_BELOW, *point_of(rows[simple[0]], OBJECTIVES)[1:])
    return Recorded(
        space=space,
        row=lambda candidate: rows.get(candidate.digest),
        objectives=OBJECTIVES,
        reference=reference,
        volume=volume_of(points, reference, OBJECTIVES),
        noise=noise,
    )


def table_parser(text: str | None, study: Path | None = None) -> argparse.ArgumentParser:
    """The options of a command that writes into the table of a study's space."""
    parser = bare_parser_of(text)
    parser.add_argument("--table", type=Path, required=True, help="directory to write into")
    parser.add_argument(
        "--study", type=Path, default=study, required=study is None, help="study file of the space"
    )
    parser.add_argument("--store", type=Path, default=Path("exhaustive-store"))
    return parser
