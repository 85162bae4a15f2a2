"""`run` and `retarget`: a session to its end, with report, bundle, verdict and exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..terminal.arguments import Estimate, Measurements, RunPath, StudyPath, Where
from ..terminal.output import console, tell
from ..terminal.session_words import STOPPING, has_ended, retarget_command

if TYPE_CHECKING:
    from ...search.ranking.reading import Reading
    from ...search.record.evaluation import StudyRecord
    from ...search.run.budget import StopFlag
    from ...search.run.session import SessionEnd
    from ..terminal.console import ConsoleProgress

_Again = Annotated[
    bool, typer.Option("--again", help="measure the finalists of a study that has ended once more")
]


def run(
    study: StudyPath,
    audit: Annotated[
        float,
        typer.Option(min=0, max=1, help="train this share of what the gate stopped, as a check"),
    ] = 0.0,
    again: _Again = False,
    estimate: Estimate = False,
    measurements: Measurements = None,
) -> None:
    """Run or resume a study; it ends with a report, and with the bundle of what it recommends.

    Ctrl-C, a closed terminal and SIGTERM finish the stage at hand and keep everything. A study that has ended
    is not measured again.
    """
    from ...search.run.absent import absent_device
    from ...search.run.session import run_study

    absent = absent_device(estimate, measurements)
    _session(
        lambda progress, stop: run_study(study, progress, stop, audit, again=again, absent=absent),
        has_ended(str(study), f"paretune run --again {study}", estimated=absent is not None),
        f"paretune run {study}",
    )


def retarget(
    study: RunPath,
    profile: Annotated[str, typer.Option(help="the other device: a profile's name or file")],
    where: Where = None,
    again: _Again = False,
    estimate: Estimate = False,
    measurements: Measurements = None,
) -> None:
    """Search another device with what a study has trained; nothing is trained, the report has both fronts."""
    from ...search.run.absent import absent_device
    from ...search.run.retarget import retarget_study

    limits, absent = where or [], absent_device(estimate, measurements)
    command = retarget_command(study, profile, limits)
    _session(
        lambda progress, stop: retarget_study(
            study, profile, limits, progress, stop, again=again, absent=absent
        ),
        has_ended("the study file", f"{command} --again", estimated=absent is not None),
        command,
    )


@dataclass(frozen=True, kw_only=True)
class Written:
    """A session's end with what was written of it. `first` is the study whose models a retargeted one has,
    `html` its report, `bundles` a line for each bundle."""

    end: SessionEnd
    reading: Reading
    first: Reading | None
    html: Path
    bundles: tuple[str, ...]


def written(outcome: SessionEnd, command: str) -> Written:
    """Report and bundle of a session that `command` has begun."""
    from ...search.ranking.reading import read
    from ..pages.write import is_report_of, report_paths, write_report

    reading, run_dir = read(outcome.record), outcome.places.run_dir
    html, first = report_paths(run_dir / "report").html, first_reading(outcome.record, run_dir)
    if not (outcome.unchanged and is_report_of(outcome.record, html.parent)):
        write_report(reading, html.parent, first)
    bundles = _bundles(outcome, reading, run_dir, command) if outcome.whole else []
    return Written(end=outcome, reading=reading, first=first, html=html, bundles=tuple(bundles))


def _session(
    session: Callable[[ConsoleProgress, StopFlag], SessionEnd], unchanged: str, command: str
) -> NoReturn:
    from ...search.run.budget import StopFlag, catch_interrupts
    from ..terminal.choose import both_text, verdict_text
    from ..terminal.console import ConsoleProgress

    stop = StopFlag()
    with (
        ConsoleProgress(console(stderr=True)) as progress,
        catch_interrupts(stop, lambda n: progress.note(STOPPING[min(n, 3) - 1])),
    ):
        done = written(session(progress, stop), command)
    if done.end.unchanged:
        tell(unchanged)
    tell(f"report: {done.html}")
    if done.end.gone:
        raise done.end.gone
    for line in done.bundles:
        tell(line)
    tell(verdict_text(done.reading.verdict))
    if done.first is not None:
        tell(both_text(done.first, done.reading))
    raise typer.Exit(130 if done.end.interrupted else done.reading.verdict.exit_code)


def first_reading(record: StudyRecord, run_dir: Path) -> Reading | None:
    """The study whose models a retargeted one has."""
    from ...search.ranking.reading import read
    from ...search.run.fleet_runs import first_record

    found = first_record(record, run_dir)
    if found is None and record.retargets:
        tell(f"the study {record.retargets} cannot be read, so that the report has this device alone")
    return None if found is None else read(found)


def _bundles(outcome: SessionEnd, reading: Reading, run_dir: Path, command: str) -> list[str]:
    """What became of the bundles; the study has its answer without any, too."""
    from ..bundle.recommended import bundle_line
    from ..bundle.to_measure import to_measure_line

    lines = (
        bundle_line(reading, run_dir, renew=not outcome.unchanged),
        to_measure_line(outcome.record, run_dir, command),
    )
    return [line for line in lines if line]
