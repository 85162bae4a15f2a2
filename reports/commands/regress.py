"""`regress`: what a run recommends against what was recommended before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.arguments import JsonFile, JunitFile, RunPath, Tolerate
from ..terminal.output import console


def regress(
    run: RunPath,
    against: Annotated[
        Path, typer.Option("--against", metavar="BASELINE", help="a run, a bundle, or what a night has kept")
    ],
    tolerate: Tolerate = None,
    side_by_side: Annotated[
        bool, typer.Option("--side-by-side", help="measure both artifacts here and now, in the same rounds")
    ] = False,
    json_file: JsonFile = None,
    junit_file: JunitFile = None,
) -> None:
    """Fails where what is shipped has become worse, by more than is tolerated and than noise explains."""
    from ...search.regress.regress import regress as regress_run
    from ..pages.checks import write_checked
    from ..pages.junit import write_junit
    from ..terminal.checks import show_checked
    from ..terminal.console import ConsoleProgress

    with ConsoleProgress(console(stderr=True)) as progress:
        found = regress_run(run, against, tolerate or (), side_by_side=side_by_side, progress=progress)
    if json_file is not None:
        write_checked(found, json_file)
    if junit_file is not None:
        write_junit(found, junit_file)
    raise typer.Exit(show_checked(found))
