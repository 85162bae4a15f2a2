"""A section of a report about what deployment asks: a table of finalists, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass

from .views import Cell


@dataclass(frozen=True, kw_only=True)
class SectionRow:
    """One candidate with one cell for each column."""

    number: int
    title: str
    cells: tuple[Cell, ...]
    recommended: bool = False


@dataclass(frozen=True, kw_only=True)
class DeployedSection:
    """`name` is part of its address on a page, and the name of its figure where it has one. `columns` are
    pairs of title and meaning; `intro` says what the table shows, `lines` are sentences on it."""

    name: str
    title: str
    intro: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    rows: tuple[SectionRow, ...] = ()
    lines: tuple[str, ...] = ()
