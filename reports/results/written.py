"""Report and bundles of a session that came to an end, be it by itself or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...search.ranking.reading import Reading, read
from ...search.record.evaluation import StudyRecord
from ...search.run.fleet_runs import first_record
from ..bundle.recommended import bundle_line
from ..bundle.to_measure import to_measure_line
from ..pages.write import is_report_of, report_paths, write_report

if TYPE_CHECKING:
    from ...search.run.session import SessionEnd


@dataclass(frozen=True, kw_only=True)
class Written:
    """A session's end with what was written of it. `first` is the study whose models a retargeted one has,
    `html` its report, `bundles` a line for each bundle, `remark` what the report lacks."""

    end: SessionEnd
    reading: Reading
    first: Reading | None
    html: Path
    bundles: tuple[str, ...]
    remark: str = ""


def written(outcome: SessionEnd, command: str) -> Written:
    """Write report and bundle of a session that `command` has begun.

    Raises:
        UserError: the report cannot be written.
    """
    reading, run_dir = read(outcome.record), outcome.places.run_dir
    html, first = report_paths(run_dir / "report").html, first_reading(outcome.record, run_dir)
    if not (outcome.unchanged and is_report_of(outcome.record, html.parent)):
        write_report(reading, html.parent, first)
    return Written(
        end=outcome,
        reading=reading,
        first=first,
        html=html,
        bundles=_bundles(outcome, reading, run_dir, command) if outcome.whole else (),
        remark=lacking(outcome.record, first),
    )


def first_reading(record: StudyRecord, run_dir: Path) -> Reading | None:
    """The study whose models a retargeted one has; None where there is none, or it cannot be read."""
    found = first_record(record, run_dir)
    return None if found is None else read(found)


def lacking(record: StudyRecord, first: Reading | None) -> str:
    """What a report without the first study lacks, where there should be one."""
    if first is not None or not record.retargets:
        return ""
    return f"the study {record.retargets} cannot be read, so that the report has this device alone"


def _bundles(outcome: SessionEnd, reading: Reading, run_dir: Path, command: str) -> tuple[str, ...]:
    """What became of the bundles; the study has its answer without any, too."""
    lines = (
        bundle_line(reading, run_dir, renew=not outcome.unchanged),
        to_measure_line(outcome.record, run_dir, command),
    )
    return tuple(line for line in lines if line)
