"""Writes all forms of a report into a directory, all of them or none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import make_folder, write_all_whole
from ...search.ranking.ranking import Ranking
from ...search.ranking.reading import Reading
from ...search.record.evaluation import StudyRecord
from ..content.side_by_side import side_by_side
from ..content.workers import workers_shown
from .page import html_page, markdown_report
from .table import csv_text


@dataclass(frozen=True, kw_only=True)
class ReportPaths:
    """Where the forms of a report were written."""

    html: Path
    markdown: Path
    csv: Path
    json: Path


def report_paths(into: Path) -> ReportPaths:
    """The files of a report in a directory."""
    return ReportPaths(
        html=into / "report.html",
        markdown=into / "report.md",
        csv=into / "trials.csv",
        json=into / "report.json",
    )


def write_report(reading: Reading, into: Path, first: Reading | None = None) -> ReportPaths:
    """Write `report.html`, `report.md`, `trials.csv` and `report.json` into `into`, made where missing.
    `first` is the study whose models this one has, if it is retargeted.

    Raises:
        UserError: the directory cannot be made or written.
    """
    paths = report_paths(into)
    texts = {
        paths.json: report_json(
            reading, first
        ),  # the first takes its place last, and stands for all (is_report_of)
        paths.csv: csv_text(reading),
        paths.markdown: markdown_report(reading, first),
        paths.html: html_page(reading, first),
    }
    try:
        make_folder(into)
        write_all_whole(texts)
    except OSError as error:
        raise UserError(
            "the report cannot be written",
            place=str(into),
            found=f"{error.filename or into}: {error.strerror or error}",
            remedy="move away what stands there, make the directory writable, or free some space (or raise "
            "the quota or file size limit); `paretune report` then writes it again",
        ) from error
    return paths


def is_report_of(record: StudyRecord, into: Path) -> bool:
    """Whether a whole report stands in `into`, of this end of the study and not of one before."""
    paths = report_paths(into)
    try:
        kept = json.loads(paths.json.read_bytes())["record"].get("ended", "")
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return False
    others = (paths.html, paths.markdown, paths.csv)
    return bool(kept == record.ended) and all(path.is_file() for path in others)


def report_json(reading: Reading, first: Reading | None = None) -> str:
    """The record with its verdict and ranking as strict JSON, of a retargeted study also both fronts; numbers
    that are not finite become null."""
    answer = reading.verdict
    whole: dict[str, Any] = {
        "verdict": answer,
        "exit_code": answer.exit_code,
        "ranking": _without_samples(reading.ranking),
    }
    workers = workers_shown(reading.record)
    whole |= {} if workers is None else {"workers": workers}
    whole |= {} if first is None else {"side_by_side": side_by_side(first, reading)}
    return json.dumps(
        plain({**whole, "record": reading.record}), indent=1, allow_nan=False, ensure_ascii=False
    )


def _without_samples(ranking: Ranking) -> Ranking:
    """The record beside it has what scores are made of already."""
    entries = (
        replace(e, metrics={name: replace(q, by_sample=None) for name, q in e.metrics.items()})
        for e in ranking.entries
    )
    return replace(ranking, entries=tuple(entries))


def plain(value: Any) -> Any:
    """Dataclasses, enums, paths and mappings as JSON's own types."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        said = ((item, getattr(value, item.name)) for item in fields(value))
        # Some are written where they are known alone, see `record.evaluation.WHERE_KNOWN`.
        return {i.name: plain(one) for i, one in said if one is not None or "written" not in i.metadata}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)
