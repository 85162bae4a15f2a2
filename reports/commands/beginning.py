"""What comes before a study: `init`, `plan`, `backends`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.arguments import StudyPath
from ..terminal.output import show, tell


def init(
    workload: Annotated[str, typer.Option(help="the workload's Python file")] = "workload.py",
    into: Annotated[Path, typer.Option("--output", "-o", help="file to write")] = Path("study.yaml"),
) -> None:
    """Write a commented study file for this machine."""
    from ..terminal.start import write_study_file

    write_study_file(into, workload)
    tell(f"wrote {into}; `paretune plan {into}` shows what would run")


def plan(
    study: StudyPath,
    profile: Annotated[str | None, typer.Option(help="plan for this device instead of the file's")] = None,
) -> None:
    """Show what would run: the space after masking and why. Nothing is trained or measured."""
    from ...search.run.planned import planned
    from ..terminal.plan import plan_text

    found = planned(study, profile)
    show(plan_text(found.job, f"{found.task} ({found.because})"))


def backends(
    profile: Annotated[str, typer.Option(help="what they offer on this device")] = "host",
) -> None:
    """Which runtimes are installed, what each can do, and how to install those that are missing."""
    from ..terminal.backends import backends_text

    show(backends_text(profile))
