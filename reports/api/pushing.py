"""`push`: a candidate to where teams keep their models."""

from __future__ import annotations

from pathlib import Path

from ..push.push import Destination, push_trial
from ..push.pushed import Pushed
from .progress import Watching
from .runs import AnyRun, open_run


def push(
    run: AnyRun,
    trial: int | None = None,
    to: str = "folder",
    *,
    uri: str | None = None,
    into: str | Path | None = None,
    name: str | None = None,
    license_id: str = "",
    public: bool = False,
) -> Pushed:
    """Bring one candidate (left out: the recommended one) with its numbers, bundle and card to "mlflow", a
    "folder", the Hugging Face hub ("hf") or Optuna's "dashboard". What is there already stays as it is.

    `uri` is the server's address, `into` the folder, `name` the registered model or the repository,
    `license_id` what the card says; `public`: a repository that all may see.

    Raises:
        UserError: no such target, trial or artifact; whatever keeps the target from taking it.
    """
    folder = None if into is None else Path(into)
    where = Destination(to=to, uri=uri, into=folder, name=name, license_id=license_id, public=public)
    return push_to(run, trial, where)


def push_to(run: AnyRun, trial: int | None, where: Destination, progress: Watching = None) -> Pushed:
    """As `push`; what was said of the destination is checked before a lost artifact is made again.

    Raises:
        UserError: as there.
    """
    where.check()
    opened = open_run(run)
    number = opened.number_of(trial)
    return push_trial(opened.with_artifact(number, progress=progress).reading, number, opened.folder, where)
