"""Learning curves of a table: accuracies after several numbers of epochs, each in a column of its own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from math import isfinite

import pandas as pd

from benchmarks.simulation.recorded import Student

Columns = tuple[tuple[int, str], ...]
"""Epochs done, ascending, and the column that has the accuracy then; the last is the end of the training."""
Curve = tuple[tuple[int, float], ...]


def columns_of_curve(text: str) -> Columns:
    """ "12:COLUMN,50:COLUMN,200:COLUMN"."""
    found = []
    for part in text.split(","):
        epochs, _, column = part.strip().partition(":")
        if not epochs.isdigit() or not int(epochs) or not column:
            raise argparse.ArgumentTypeError(f"{part!r} is not EPOCHS:COLUMN, as in 12:acc_12,200:acc_200")
        found.append((int(epochs), column))
    numbers = [epochs for epochs, _ in found]
    if len(found) < 2 or numbers != sorted(set(numbers)):
        raise argparse.ArgumentTypeError("a curve has at least two numbers of epochs, ascending")
    return tuple(found)


def curves_of(table: pd.DataFrame, columns: Columns, students: Sequence[Student]) -> Mapping[Student, Curve]:
    """The curve of each student, in the order of the table's rows; a figure that is missing is left out."""
    epochs = [done for done, _ in columns]
    rows = table[[name for _, name in columns]].to_numpy(dtype=float)
    told = [tuple((e, float(v)) for e, v in zip(epochs, row, strict=True) if isfinite(v)) for row in rows]
    return dict(zip(students, told, strict=True))
