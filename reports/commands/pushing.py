"""`push`: a candidate to where teams keep their models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.arguments import RunPath
from ..terminal.output import show


def push(
    run: RunPath,
    trial: Annotated[
        int | None, typer.Argument(metavar="TRIAL", help="left out: the one that is recommended")
    ] = None,
    to: Annotated[str, typer.Option(help="where to", metavar="mlflow|folder|hf|dashboard")] = "folder",
    uri: Annotated[
        str | None, typer.Option(help="the server's address, instead of MLFLOW_TRACKING_URI or HF_ENDPOINT")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="the folder; of the dashboard, its artifact directory", metavar="DIR")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="MLflow: register it as a version of this model; hf: USER/REPOSITORY"),
    ] = None,
    license_id: Annotated[
        str, typer.Option("--license", help="what the card says: apache-2.0, mit, other", metavar="ID")
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="hf: a repository that all may see")] = False,
) -> None:
    """Bring one candidate with its numbers, its bundle and a model card to MLflow, a folder, the Hugging Face
    hub or Optuna's dashboard. What is there already is left as it is."""
    from ..api.pushing import push_to
    from ..push.push import Destination

    where = Destination(to=to, uri=uri, into=into, name=name, license_id=license_id, public=public)
    show(str(push_to(run, trial, where, progress=True)))
