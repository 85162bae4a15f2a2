"""`verify`: what was shipped, checked again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.arguments import JsonFile, Tolerate
from ..terminal.output import console


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="the folder that `export` or a run wrote")],
    profile: Annotated[
        str, typer.Option(help="the device to check it on: a profile's name or file")
    ] = "host",
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="more samples: arrays by input name, and `targets` (numpy.savez)"),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(metavar="STUDY", help="its study file: quality on the whole split, by its own metric"),
    ] = None,
    tolerate: Tolerate = None,
    json: JsonFile = None,
) -> None:
    """Does a bundle still do here what its manifest says? Exit code 2 where something is out of its band.

    Files by their hashes, outputs on the bundle's own samples, quality, latency as the ratio to the reference
    that travels along, memory and load time. Neither the study nor its store is needed.
    """
    from ...search.verify.verify import verify as verified
    from ..pages.checks import write_checked
    from ..terminal.checks import show_checked
    from ..terminal.console import ConsoleProgress

    with ConsoleProgress(console(stderr=True)) as progress:
        found = verified(bundle, profile, data=data, study=study, tolerate=tolerate or (), progress=progress)
    code = show_checked(found)
    if json is not None:
        write_checked(found, json)
    raise typer.Exit(code)
