"""`run` and `retarget`: a session to its end, with report, bundle, verdict and exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..terminal.arguments import Estimate, Measurements, RunPath, StudyPath, Where
from ..terminal.output import console, tell
from ..terminal.session_words import has_ended, retarget_command

if TYPE_CHECKING:
    from ...search.driver.budget import StopFlag
    from ...search.run.session import SessionEnd
    from ..terminal.console import ConsoleProgress

_Again = Annotated[
    bool, typer.Option("--again", help="measure the finalists of a study that has ended once more")
]

_Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="evaluate candidates in so many processes at once")
]
_Cluster = Annotated[
    str | None, typer.Option("--cluster", metavar="ADDRESS", help="evaluate them on a Dask cluster")
]


def run(
    study: StudyPath,
    audit: Annotated[
        float,
        typer.Option(min=0, max=1, help="train this share of what the gate stopped, as a check"),
    ] = 0.0,
    again: _Again = False,
    workers: _Workers = None,
    cluster: _Cluster = None,
    estimate: Estimate = False,
    measurements: Measurements = None,
) -> None:
    """Run or resume a study; it ends with a report, and with the bundle of what it recommends.

    Ctrl-C, a closed terminal and SIGTERM finish the stage at hand and keep everything. A study that has ended
    is not measured again.
    """
    from ...search.cluster.run import run_study_with_workers
    from ...search.cluster.wanted import wanted_workers
    from ...search.run.absent import absent_device

    absent, asked = absent_device(estimate, measurements), wanted_workers(workers, cluster)
    _session(
        lambda progress, stop: run_study_with_workers(
            study, asked, progress, stop, audit, again=again, absent=absent
        ),
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


def _session(
    session: Callable[[ConsoleProgress, StopFlag], SessionEnd], unchanged: str, command: str
) -> NoReturn:
    from ..api.progress import stopped_softly
    from ..terminal.console import ConsoleProgress

    with ConsoleProgress(console(stderr=True)) as progress, stopped_softly(progress) as stop:
        ended = session(progress, stop)
        from ..results.written import written  # half a second that the study's own time is not spent on

        done = written(ended, command)
    from ..terminal.choose import both_text, verdict_text

    if done.remark:
        tell(done.remark)
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
