"""`recheck`: a run's artifacts on another version of the runtime."""

from __future__ import annotations

from typing import Annotated

import typer

from ..terminal.arguments import JsonFile, RunPath, Tolerate
from ..terminal.output import console


def recheck(
    run: RunPath,
    python: Annotated[
        str | None,
        typer.Option(
            "--python", metavar="ENVIRONMENT", help="another environment: its folder, or its Python"
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="another device: a profile's name or file")
    ] = None,
    trials: Annotated[
        str | None, typer.Option(metavar="N,..", help="these trials in place of the finalists on the front")
    ] = None,
    tolerate: Tolerate = None,
    json_file: JsonFile = None,
) -> None:
    """The artifacts of a run as they are, on another version of the runtime or another device: what to do."""
    from ...search.recheck.kept import read_numbers
    from ...search.recheck.recheck import recheck as recheck_run
    from ..pages.checks import write_checked
    from ..terminal.checks import show_checked
    from ..terminal.console import ConsoleProgress

    with ConsoleProgress(console(stderr=True)) as progress:
        found = recheck_run(
            run,
            python=python,
            profile=profile,
            trials=read_numbers(trials),
            tolerate=tolerate or (),
            progress=progress,
        )
    code = show_checked(found)
    if json_file is not None:  # what took minutes is shown also where it cannot be written
        write_checked(found, json_file)
    raise typer.Exit(code)
