"""Turns a recording of a whole space into the small table that lies in the repository."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
from paretune.profiles.errors import UserError
from paretune.search.record.candidate import Candidate
from paretune.search.space.space import Space

from benchmarks.exhaustive.record import Line, read_lines
from benchmarks.exhaustive.table import ABOUT, HARDWARE, LATENCY, POINTS, QUALITY, TRAININGS


def write_table(lines: Path, space: Space, into: Path) -> None:
    """Turn a recording into a table.

    Raises:
        UserError: a candidate of the space was not recorded.
    """
    found = read_lines(lines)
    points = {line["key"]: line for line in found if line["kind"] == "point"}
    missing = [candidate.title for candidate in space.candidates() if candidate.digest not in points]
    if missing:
        raise UserError(
            f"{len(missing)} candidates are not recorded", place=str(lines), found="; ".join(missing[:3])
        )
    axes = list(space.student_axes)
    into.mkdir(parents=True, exist_ok=True)
    rows = [_point_row(points[candidate.digest], candidate, axes) for candidate in space.candidates()]
    text = pd.DataFrame(rows).to_csv(index=False)
    with gzip.GzipFile(into / POINTS, "wb", mtime=0) as file:  # the same bytes for the same table
        file.write(text.encode())
    trainings = [_training_row(line, axes) for line in _trainings(found, space)]
    pd.DataFrame(trainings).to_csv(into / TRAININGS, index=False)
    about = {k: v for line in found if line["kind"] == "about" for k, v in line.items()}
    about = {key: value for key, value in about.items() if key not in ("kind", "key")}
    (into / ABOUT).write_text(json.dumps({**about, "space": _described(space)}, indent=1) + "\n")


def _trainings(found: list[Line], space: Space) -> list[Line]:
    """One line per training of the space; one with processor time goes before one without."""
    wanted = [(dict(candidate.student), candidate.sparsity) for candidate in space.trainings()]
    best: dict[str, Line] = {}
    for line in found:
        if line["kind"] != "training" or (line["student"], line["sparsity"]) not in wanted:
            continue
        if line["key"] not in best or best[line["key"]]["cpu_seconds"] is None:
            best[line["key"]] = line
    return list(best.values())


def _point_row(line: Line, candidate: Candidate, axes: list[str]) -> dict[str, Any]:
    evaluation, student = line["evaluation"], dict(candidate.student)
    metrics = evaluation["metrics"]
    row: dict[str, Any] = {axis: str(student.get(axis, "")) for axis in axes}
    row.update(
        sparsity=candidate.sparsity,
        backend=candidate.backend,
        precision=str(candidate.precision),
        calibration=candidate.calibration_method,
        outcome=evaluation["outcome"],
        reason=evaluation["reason"] or evaluation["cause"],
        stability=evaluation["stability"],
        accuracy_test=line["test"],
    )
    for name in (QUALITY, *HARDWARE):
        row[name] = metrics[name]["value"] if name in metrics else None
        for end in ("low", "high") if name in (QUALITY, LATENCY) and name in metrics else ():
            row[f"{name}_{end}"] = metrics[name][end]
    row.update({f"{stage}_seconds": seconds for stage, seconds in line["seconds"].items()})
    return {name: _short(value) for name, value in row.items()}


def _training_row(line: Line, axes: list[str]) -> dict[str, Any]:
    row = {axis: str(line["student"].get(axis, "")) for axis in axes}
    row.update({name: line[name] for name in ("sparsity", "stage", "epochs", "quality")})
    row.update({name: line[name] for name in ("cpu_seconds", "wall_seconds", "parameters", "macs")})
    curve = " ".join(f"{epoch}:{value:.6f}" for epoch, value in line["curve"])
    return {**{name: _short(value) for name, value in row.items()}, "work": line["work"], "curve": curve}


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) and abs(value) < 1e5 else value


def _described(space: Space) -> dict[str, Any]:
    return {
        "axes": {axis: list(values) for axis, values in space.student_axes.items()},
        "backends": [
            {
                "name": backend.name,
                "precisions": [str(precision) for precision in backend.precisions],
                "calibrations": list(backend.calibration_methods),
                "sparsities": list(backend.sparsities),
            }
            for backend in space.backends
        ],
        "samples": list(space.calibration_samples),
        "temperature": list(space.temperatures),
        "weight": list(space.weights),
        "epochs": space.recipe.epochs,
        "finetune_epochs": space.recipe.finetune_epochs,
        "learning_rate": space.recipe.learning_rate,
        "batch": space.recipe.batch,
    }
