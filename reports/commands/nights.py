"""`nightly`: one unattended night."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.arguments import StudyPath
from ..terminal.output import console, tell

_Into = Annotated[
    Path | None, typer.Option("--into", metavar="DIR", help="folder of the nights (nights/STUDY)")
]
_Deployed = Annotated[
    Path | None,
    typer.Option("--deployed", metavar="BUNDLE", help="what is deployed, if not that of the last good night"),
]
_Against = Annotated[
    str, typer.Option("--against", metavar="NIGHT", help="good (the last good night), last, or a number")
]
_Tolerate = Annotated[
    list[str] | None,
    typer.Option(
        "--tolerate", metavar="CHANGE", help="a change that does not count, say 'latency 3 %'; repeatable"
    ),
]
_Within = Annotated[str, typer.Option("--within", metavar="TIME", help="hard end of the night, say '4 h'")]
_Wait = Annotated[
    str, typer.Option("--wait", metavar="TIME", help="so long for a night that is still at work")
]
_Keep = Annotated[int, typer.Option("--keep", min=1, help="nights that are kept whole")]
_Patience = Annotated[
    int, typer.Option("--patience", min=1, help="nights without an answer until a person has to look")
]
_Accept = Annotated[
    bool, typer.Option("--accept", help="a regression of this night is meant: compare later ones with it")
]
_Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="write the night as JSON")]
_Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="write its checks as JUnit XML")]
_Summary = Annotated[
    Path | None, typer.Option("--summary", metavar="FILE", help="write a short Markdown summary")
]


def nightly(
    study: StudyPath,
    into: _Into = None,
    deployed: _Deployed = None,
    against: _Against = "good",
    tolerate: _Tolerate = None,
    within: _Within = "20 h",
    wait: _Wait = "0 s",
    keep: _Keep = 14,
    patience: _Patience = 3,
    accept: _Accept = False,
    json: _Json = None,
    junit: _Junit = None,
    summary: _Summary = None,
) -> None:
    """Run or resume a study unattended, check what is deployed and what was found, and keep the history.

    Exit code: 0 fine, or skipped; 2 a regression, and only then; 3 no candidate meets the limits; 1 a person
    has to look.
    """
    from ..api.progress import stopped_softly
    from ..nights.nightly import nightly as one_night
    from ..nights.result import check_places, written_elsewhere
    from ..terminal.console import ConsoleProgress

    check_places(json, junit, summary)
    with ConsoleProgress(console(stderr=True)) as progress, stopped_softly(progress) as stop:
        done = one_night(
            study,
            into=into,
            deployed=deployed,
            against=against,
            tolerate=tolerate or (),
            within=within,
            wait=wait,
            keep=keep,
            patience=patience,
            accept=accept,
            progress=progress,
            stop=stop,
        )
    written_elsewhere(done, json=json, junit=junit, summary=summary)
    for line in done.lines:
        tell(line)
    raise typer.Exit(done.exit_code)
