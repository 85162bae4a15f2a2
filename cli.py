"""The `paretune` command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .profiles.system_trouble import check_stack, check_temporary_files
from .reports.terminal.arguments import (
    Estimate,
    Measurements,
    Prefer,
    RunPath,
    StudyPath,
    TrialNumber,
    Where,
)
from .reports.terminal.commands import Commands, ended_well
from .reports.terminal.device_commands import devices
from .reports.terminal.output import console, show, tell
from .reports.terminal.session_words import STOPPING, has_ended, retarget_command

if TYPE_CHECKING:
    from .reports.terminal.console import ConsoleProgress
    from .search.ranking.reading import Reading
    from .search.record.evaluation import StudyRecord
    from .search.run.budget import StopFlag
    from .search.run.session import SessionEnd


app = typer.Typer(
    name="paretune",
    cls=Commands,
    help="Find the best ways to deploy a trained model on a given device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def init(
    workload: Annotated[str, typer.Option(help="the workload's Python file")] = "workload.py",
    into: Annotated[Path, typer.Option("--output", "-o", help="file to write")] = Path("study.yaml"),
) -> None:
    """Write a commented study file for this machine."""
    from .reports.terminal.start import write_study_file

    write_study_file(into, workload)
    tell(f"wrote {into}; `paretune plan {into}` shows what would run")


@app.command()
def plan(
    study: StudyPath,
    profile: Annotated[str | None, typer.Option(help="plan for this device instead of the file's")] = None,
) -> None:
    """Show what would run: the space after masking and why. Nothing is trained or measured."""
    from .reports.terminal.plan import plan_text
    from .search.run.planned import planned

    found = planned(study, profile)
    show(plan_text(found.job, f"{found.task} ({found.because})"))


@app.command()
def run(
    study: StudyPath,
    audit: Annotated[
        float,
        typer.Option(min=0, max=1, help="train this share of what the gate stopped, as a check"),
    ] = 0.0,
    again: Annotated[
        bool, typer.Option("--again", help="measure the finalists of a study that has ended once more")
    ] = False,
    estimate: Estimate = False,
    measurements: Measurements = None,
) -> None:
    """Run or resume a study; it ends with a report, and with the bundle of what it recommends.

    Ctrl-C, a closed terminal and SIGTERM finish the stage at hand and keep everything. A study that has ended
    is not measured again.
    """
    from .search.run.absent import absent_device
    from .search.run.session import run_study

    absent = absent_device(estimate, measurements)
    _session(
        lambda progress, stop: run_study(study, progress, stop, audit, again=again, absent=absent),
        has_ended(str(study), f"paretune run --again {study}", estimated=absent is not None),
        f"paretune run {study}",
    )


@app.command()
def retarget(
    study: RunPath,
    profile: Annotated[str, typer.Option(help="the other device: a profile's name or file")],
    where: Where = None,
    again: Annotated[
        bool, typer.Option("--again", help="measure the finalists of one that has ended once more")
    ] = False,
    estimate: Estimate = False,
    measurements: Measurements = None,
) -> None:
    """Search another device with what a study has trained; nothing is trained, the report has both fronts."""
    from .search.run.absent import absent_device
    from .search.run.retarget import retarget_study

    limits, absent = where or [], absent_device(estimate, measurements)
    command = retarget_command(study, profile, limits)
    _session(
        lambda progress, stop: retarget_study(
            study, profile, limits, progress, stop, again=again, absent=absent
        ),
        has_ended("the study file", f"{command} --again", estimated=absent is not None),
        command,
    )


def _session(
    session: Callable[[ConsoleProgress, StopFlag], SessionEnd], unchanged: str, command: str
) -> NoReturn:
    """A session to its end: report, bundle, verdict and exit code. `command` has begun it."""
    from .reports.pages.write import is_report_of, report_paths, write_report
    from .reports.terminal.choose import both_text, verdict_text
    from .reports.terminal.console import ConsoleProgress
    from .search.ranking.reading import read
    from .search.run.budget import StopFlag, catch_interrupts

    stop = StopFlag()
    with (
        ConsoleProgress(console(stderr=True)) as progress,
        catch_interrupts(stop, lambda n: progress.note(STOPPING[min(n, 3) - 1])),
    ):
        outcome = session(progress, stop)
        reading, run_dir = read(outcome.record), outcome.places.run_dir
        html, first = report_paths(run_dir / "report").html, _first(outcome.record, run_dir)
        if not (outcome.unchanged and is_report_of(outcome.record, html.parent)):
            write_report(reading, html.parent, first)
        bundles = _bundles(outcome, reading, run_dir, command) if outcome.whole else []
    if outcome.unchanged:
        tell(unchanged)
    tell(f"report: {html}")
    if outcome.gone:
        raise outcome.gone
    for line in bundles:
        tell(line)
    tell(verdict_text(reading.verdict))
    if first is not None:
        tell(both_text(first, reading))
    raise typer.Exit(130 if outcome.interrupted else reading.verdict.exit_code)


def _first(record: StudyRecord, run_dir: Path) -> Reading | None:
    """The study whose models a retargeted one has."""
    from .search.ranking.reading import read
    from .search.run.fleet_runs import first_record

    found = first_record(record, run_dir)
    if found is None and record.retargets:
        tell(f"the study {record.retargets} cannot be read, so that the report has this device alone")
    return None if found is None else read(found)


def _bundles(outcome: SessionEnd, reading: Reading, run_dir: Path, command: str) -> list[str]:
    """What became of the bundles; the study has its answer without any, too."""
    from .reports.bundle.recommended import bundle_line
    from .reports.bundle.to_measure import to_measure_line

    lines = (
        bundle_line(reading, run_dir, renew=not outcome.unchanged),
        to_measure_line(outcome.record, run_dir, command),
    )
    return [line for line in lines if line]


@app.command()
def report(run: RunPath) -> None:
    """Write HTML, Markdown, CSV and JSON again from a study."""
    from .reports.pages.write import write_report
    from .search.ranking.reading import read
    from .search.run.session import open_run

    record, run_dir = open_run(run)
    paths = write_report(read(record), run_dir / "report", _first(record, run_dir))
    for path in (paths.html, paths.markdown, paths.csv, paths.json):
        tell(str(path))


@app.command()
def choose(
    run: RunPath,
    where: Where = None,
    prefer: Prefer = None,
    devices: Annotated[
        str | None,
        typer.Option(help="one answer for a fleet: pi,host or pi=1000,host=50 or all", metavar="NAMES"),
    ] = None,
) -> None:
    """Another answer from a finished study: other limits, preferences or a whole fleet, at no cost."""
    if devices is not None:
        raise typer.Exit(_for_a_fleet(run, devices, where or [], prefer or []))
    from .reports.terminal.choose import choice_text
    from .reports.terminal.choose import choose as choose_again
    from .search.ranking.ask_again import read_limits, read_weights
    from .search.run.session import open_run

    record, _ = open_run(run)
    found = choose_again(record, read_limits(record, where or []), read_weights(record, prefer or []))
    show(choice_text(found))
    raise typer.Exit(found.verdict.exit_code)


def _for_a_fleet(run: Path, devices: str, where: list[str], prefer: list[str]) -> int:
    from .reports.terminal.choose import choose as choose_again
    from .reports.terminal.fleet import fleet_text
    from .search.ranking.ask_again import read_limits, read_weights
    from .search.ranking.fleet import fleet_of
    from .search.run.fleet_runs import devices_asked, fill_command, fleet_runs

    runs = fleet_runs(run)
    shares = devices_asked(runs, devices)
    records = {device: runs.runs[device].record for device in shares}
    readings = {
        device: choose_again(record, read_limits(record, where), read_weights(record, prefer))
        for device, record in records.items()
    }
    found = fleet_of(readings, shares)
    show(fleet_text(found, lambda device: fill_command(runs, device), runs.skipped))
    return found.exit_code


@app.command()
def explain(run: RunPath, trial: TrialNumber) -> None:
    """All that is known of one candidate: why it won or lost, and how to reproduce it."""
    from .reports.pages.explain import explain as explain_trial
    from .search.ranking.reading import read
    from .search.run.session import open_run

    record, _ = open_run(run)
    show(explain_trial(read(record), trial))


@app.command()
def export(
    run: RunPath,
    trial: TrialNumber,
    into: Annotated[Path | None, typer.Option("--output", "-o", help="directory to make")] = None,
) -> None:
    """Write a bundle: the artifact, a manifest, and a script that needs numpy and the runtime alone."""
    from .reports.bundle.write import export_bundle
    from .reports.terminal.console import ConsoleProgress
    from .search.run.restore import with_artifact
    from .search.run.session import open_run

    record, run_dir = open_run(run)
    with ConsoleProgress(console(stderr=True)) as progress:
        record = with_artifact(run, record, trial, progress)
    tell(str(export_bundle(record, trial, into or run_dir / "bundles" / f"trial-{trial}")))


app.add_typer(devices)


@app.command()
def backends(
    profile: Annotated[str, typer.Option(help="what they offer on this device")] = "host",
) -> None:
    """Which runtimes are installed, what each can do, and how to install those that are missing."""
    from .reports.terminal.backends import backends_text

    show(backends_text(profile))


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        from . import __version__

        show(f"paretune {__version__}")
        raise typer.Exit()
    check_stack()
    check_temporary_files()


def main() -> None:
    """Entry point: turns errors into one message on stderr and an exit code of the project's own table."""
    ended_well(lambda: app(standalone_mode=False))


if __name__ == "__main__":
    main()
