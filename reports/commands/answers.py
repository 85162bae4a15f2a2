"""What is asked of a study that was run: `report`, `choose`, `explain`, `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.arguments import Prefer, RunPath, TrialNumber, Where
from ..terminal.output import show, tell


def report(run: RunPath) -> None:
    """Write HTML, Markdown, CSV and JSON again from a study."""
    from ..api.runs import open_run
    from ..results.written import lacking

    opened = open_run(run)
    if remark := lacking(opened.record, opened.first):
        tell(remark)
    paths = opened.report()
    for path in (paths.html, paths.markdown, paths.csv, paths.json):
        tell(str(path))


def choose(
    run: RunPath,
    where: Where = None,
    prefer: Prefer = None,
    devices: Annotated[
        str | None,
        typer.Option(help="one answer for a fleet: pi,host or pi=1000,host=50 or all", metavar="NAMES"),
    ] = None,
    explained: Annotated[
        bool, typer.Option("--explain", help="also why the next best is not the answer, metric by metric")
    ] = False,
) -> None:
    """Another answer from a finished study: other limits, preferences or a whole fleet, at no cost.

    A limit can be for one device of a fleet alone: --where 'pi: latency <= 5 ms'.
    """
    if devices is not None:
        raise typer.Exit(_for_a_fleet(run, devices, where or [], prefer or [], explained=explained))
    from ...search.ranking.ask_again import read_limits_here, read_weights
    from ...search.run.stored import open_run
    from ..terminal.choose import choice_text, explained_text
    from ..terminal.choose import choose as choose_again

    record, _ = open_run(run)
    found = choose_again(record, read_limits_here(record, where or []), read_weights(record, prefer or []))
    show(choice_text(found))
    if explained:
        show(explained_text(found))
    raise typer.Exit(found.verdict.exit_code)


def _for_a_fleet(run: Path, devices: str, where: list[str], prefer: list[str], *, explained: bool) -> int:
    from ..api.fleet import choose_for

    found = choose_for(run, devices, where, prefer)
    show(str(found))
    if explained:
        show(found.why)
    return found.exit_code


def explain(run: RunPath, trial: TrialNumber) -> None:
    """All that is known of one candidate: why it won or lost, and how to reproduce it."""
    from ..api.runs import open_run

    show(open_run(run).explain(trial))


def export(
    run: RunPath,
    trial: TrialNumber,
    into: Annotated[Path | None, typer.Option("--output", "-o", help="directory to make")] = None,
    samples: Annotated[
        bool, typer.Option(help="a few test samples with what the artifact gives for them")
    ] = True,
    reference: Annotated[
        bool | None,
        typer.Option(
            help="the artifact that latency is told against, however large", show_default="up to 64 MB"
        ),
    ] = None,
) -> None:
    """Write a bundle: the artifact, a manifest, what is needed to check it elsewhere, and a script that needs
    numpy and the runtime alone."""
    from ..api.answers import left_out
    from ..api.runs import open_run

    written = open_run(run).export(trial, into, samples=samples, reference=reference, progress=True)
    for name, why in left_out(written).items():
        tell(f"without {name}: {why}")
    tell(str(written))
