"""The commands of `paretune monitor`: what a deployed bundle recorded of its use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.arguments import JsonFile

monitor = typer.Typer(
    name="monitor",
    no_args_is_help=True,
    help="What a deployed bundle recorded of its use, against what it was exported with.",
)


@monitor.callback()
def _group() -> None:
    """It has commands of its own."""


@monitor.command()
def check(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="the folder that is deployed")],
    logs: Annotated[
        list[Path],
        typer.Argument(metavar="LOG...", help="what its `monitor.py` recorded, or a folder with it"),
    ],
    tolerate: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerate", metavar="CHANGE", help="what passes: 'latency 20 %', 'accuracy 1 pt', 'inputs 0.3'"
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="look at all that was recorded, not at the latest samples alone")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Calm, warning or alarm: latency, shift of inputs and predictions, quality where labels came."""
    from ...search.monitor.check import monitor_check
    from ..pages.checks import write_checked
    from ..terminal.checks import show_checked

    found = monitor_check(bundle, logs, tolerate=tolerate or (), whole=whole)
    code = show_checked(found)
    if json_file is not None:
        write_checked(found, json_file)
    raise typer.Exit(code)
