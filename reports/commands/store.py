"""`store`: what lies in a store, and what of it may go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.output import console, show

store = typer.Typer(name="store", help="What runs keep of what they made: its size, tidied up.")

Place = Annotated[
    Path, typer.Argument(metavar="STUDY|STORE", help="a study file, the directory of a run, or a store's")
]
Runs = Annotated[
    list[Path] | None,
    typer.Option(
        "--run", metavar="RUN", help="a further run that uses the store; may be given several times"
    ),
]
Forget = Annotated[
    list[Path] | None,
    typer.Option("--forget", metavar="RUN", help="a run that is gone for good; may be given several times"),
]
MaxSize = Annotated[
    str | None,
    typer.Option(
        "--max-size", metavar="SIZE", help="free more, the longest unused first, down to so much: '5 GB'"
    ),
]


@store.command()
def gc(
    place: Place,
    keep_days: Annotated[
        float, typer.Option(min=0, help="keep what no run needs for so many days after its last use")
    ] = 14.0,
    max_size: MaxSize = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be freed, remove nothing")
    ] = False,
    run: Runs = None,
    forget: Forget = None,
) -> None:
    """Remove what no run needs and nobody has asked for lately.

    What fronts, finalists, simple choices and bundles of all runs need stays, and all of runs that may go on.
    The exit status is 2 where the store stays larger than --max-size.
    """
    from ...search.retention.gc import store_gc
    from ..terminal.console import ConsoleProgress
    from ..terminal.store import collected_text

    with ConsoleProgress(console(stderr=True)) as progress:
        found = store_gc(
            place,
            keep_days=keep_days,
            max_size=max_size,
            dry_run=dry_run,
            runs=run or (),
            forget=forget or (),
            progress=progress,
        )
    show(collected_text(found))
    raise typer.Exit(found.exit_code)


@store.command("show")
def show_store(place: Place, run: Runs = None, forget: Forget = None) -> None:
    """What lies in a store, by kind, who needs it, and what `gc` would free. Nothing is removed."""
    gc(place, dry_run=True, run=run, forget=forget)
