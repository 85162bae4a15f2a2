"""Zero-cost proxies that others computed of a table's architectures."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import pandas as pd
from paretune.profiles.errors import UserError
from paretune.search.record.untrained import Untrained

PREFIX = "proxy_"
UNDEFINED = 1e8
"""A value of this size stands for one that is not defined."""


def columns_of(table: pd.DataFrame) -> list[str]:
    """Those of proxies."""
    return [name for name in table if str(name).startswith(PREFIX)]


def joined(table: pd.DataFrame, others: pd.DataFrame, keys: Sequence[str], place: Path) -> pd.DataFrame:
    """The table with the columns `proxy_*` of another one, whose rows have the same keys."""
    found = columns_of(others)
    missing = [name for name in keys if name not in others]
    if missing or not found:
        problem = f"this file has no column {', '.join(missing) or PREFIX + '...'}"
        accepted = f"columns {', '.join(keys)} as in the table, and others that begin with {PREFIX}"
        raise UserError(problem, place=str(place), found=", ".join(others), accepted=accepted)
    known = others.assign(**{name: _numbers(others[name]) for name in found})
    known = known.groupby(list(keys), as_index=False)[found].mean()
    try:
        both = table.drop(columns=found, errors="ignore").merge(known, how="left", on=list(keys))
    except ValueError as error:  # keys of two types
        raise UserError(
            "the keys of this file are not of the table's kind", place=str(place), found=str(error)
        ) from error
    if both[found].notna().to_numpy().any():
        return both
    raise UserError("this file tells of no row of the table", place=str(place), found=f"{len(others)} rows")


def proxies_told(values: Sequence[float], names: Sequence[str]) -> Untrained:
    """Of one row, without what is not defined."""
    given = {name.removeprefix(PREFIX): value for name, value in zip(names, values, strict=True)}
    return Untrained(proxies={name: value for name, value in given.items() if isfinite(value)})


def defined(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its proxies as numbers, none where they are not defined."""
    return table.assign(**{name: _numbers(table[name]) for name in columns_of(table)})


def _numbers(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    return numbers.where(numbers.abs() < UNDEFINED)
