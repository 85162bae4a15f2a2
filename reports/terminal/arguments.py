"""Arguments and options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="the study file (YAML)")]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="the study file, or the directory of its run (runs/NAME)")
]
TrialNumber = Annotated[int, typer.Argument(metavar="TRIAL", help="number of the trial, as reports show it")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where", help="a limit, as in the study file; may be given several times", metavar="LIMIT"
    ),
]
Prefer = Annotated[
    list[str] | None,
    typer.Option(
        "--prefer", help="weight of an objective, say latency=2; may be repeated", metavar="NAME=WEIGHT"
    ),
]
Estimate = Annotated[
    bool, typer.Option("--estimate", help="estimate latency, memory and energy of a device that is not there")
]
Measurements = Annotated[
    Path | None,
    typer.Option(
        "--measurements", metavar="FILE", help="measured there by hand (CSV or JSON): corrects the estimates"
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="write what was found there as well")
]
JunitFile = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="write it there as JUnit's XML, for CI")
]
Tolerate = Annotated[
    list[str] | None,
    typer.Option(
        "--tolerate", metavar="CHANGE", help="what may be lost: 'latency 3 %' 'accuracy 0.2 pt' 'size 0 %'"
    ),
]
