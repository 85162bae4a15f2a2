"""A candidate as a run of MLflow: parameters, numbers with their intervals, tags, bundle, card and report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...profiles.errors import UserError
from .card import card_text
from .facts import numbers, parameters, tags
from .libraries import library
from .mlflow_server import URI, check_server, trouble
from .parcel import Parcel
from .pushed import MLFLOW, Pushed, shown_address

_PATIENCE: Mapping[str, str] = {
    # A server that went away is told after a minute, and not after five.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""What the client goes by during a push, as far as the environment does not say otherwise."""
_FINISHED, _FAILED = "FINISHED", "FAILED"
_BATCH = 90  # parameters or tags in one request; a server takes a hundred
_CARD, _REPORT = "model_card.md", "report.html"


def tracking_server(uri: str | None) -> str:
    """The address of the server, which was asked whether it can be used: `uri`, else MLFLOW_TRACKING_URI.

    Raises:
        UserError: no server is named, it does not answer, refuses, or is none that can be used.
    """
    address = uri or os.environ.get(URI, "")
    if not address:
        raise UserError(
            "no MLflow server is named",
            place="--uri",
            accepted="its address, say http://localhost:5000",
            remedy=f"give --uri, or set {URI}; `mlflow server` starts one here",
        )
    with trouble(address):
        check_server(address)
    return address


def to_mlflow(parcel: Parcel, address: str, name: str | None = None, license_id: str = "") -> Pushed:
    """Log the candidate as a run in the experiment that is called like its study. One that is there already,
    with the same bundle, is left as it is; one that a push has left half done is completed. `address` is the
    server's; `name` registers it as a version of that model.

    Raises:
        UserError: it does not answer any more, or refuses something.
    """
    mlflow = library("mlflow", "pip install 'paretune[mlflow]'", "MLflow")
    card = card_text(parcel, parcel.bundle.title, license_id)
    with _patience(), trouble(address):
        client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
        experiment = _experiment(client, parcel.bundle.study)
        run = _found(client, experiment, parcel)
        already = run is not None and run.info.status == _FINISHED
        if run is None:
            run = client.create_run(
                experiment,
                start_time=_ended_ms(parcel),
                tags={**tags(parcel), "mlflow.note.content": card},
                run_name=parcel.bundle.title,
            )
        if not already:
            _fill(client, mlflow.entities, run.info.run_id, parcel, card)
        notes = [] if name is None else [_registered(client, run, name, parcel)]
    return Pushed(
        to=MLFLOW,
        where=_page(address, experiment, run.info.run_id),
        trial=parcel.bundle.trial,
        already=already,
        notes=tuple(notes),
    )


@contextmanager
def _patience() -> Iterator[None]:
    before = {key: os.environ.get(key) for key in _PATIENCE}
    os.environ.update({key: value for key, value in _PATIENCE.items() if before[key] is None})
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)


def _experiment(client: Any, study: str) -> str:
    found = client.get_experiment_by_name(study)
    if found is None:
        return str(client.create_experiment(study))
    if found.lifecycle_stage == "deleted":
        raise UserError(
            f"the server has an experiment {study!r} that was deleted",
            remedy=f"restore it (`mlflow experiments restore --experiment-id {found.experiment_id}`), or "
            "have it removed for good (`mlflow gc`)",
        )
    return str(found.experiment_id)


def _found(client: Any, experiment: str, parcel: Parcel) -> Any:
    """The run with this very bundle, one that was finished before others."""
    runs = client.search_runs([experiment], f"tags.`paretune.content` = '{parcel.content}'")
    return min(runs, key=lambda run: run.info.status != _FINISHED, default=None)


def _ended_ms(parcel: Parcel) -> int:
    return round(1000 * (parcel.trial.started + parcel.trial.seconds))


def _fill(client: Any, entities: Any, run_id: str, parcel: Parcel, card: str) -> None:
    """All of a run. What is logged again is the same to the last digit and time, and adds nothing."""
    try:
        at = _ended_ms(parcel)
        metrics = [entities.Metric(key, value, at, 0) for key, value in numbers(parcel).items()]
        client.log_batch(run_id, metrics=metrics)
        params = [entities.Param(key, value) for key, value in parameters(parcel).items()]
        for first in range(0, len(params), _BATCH):
            client.log_batch(run_id, params=params[first : first + _BATCH])
        client.log_artifacts(run_id, str(parcel.bundle.folder), "bundle")
        client.log_text(run_id, card, _CARD)
        report = parcel.run_dir / "report" / _REPORT
        if report.is_file():
            client.log_artifact(run_id, str(report))
    except BaseException:
        _give_up(client, run_id)
        raise
    client.set_terminated(run_id, _FINISHED, end_time=at)


def _give_up(client: Any, run_id: str) -> None:
    """Say that the run is not whole, where there still is somebody to say it to."""
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        client.set_terminated(run_id, _FAILED)
    except Exception:  # the first error is the one to tell
        return


def _registered(client: Any, run: Any, name: str, parcel: Parcel) -> str:
    """Make the run's bundle a version of the model, once."""
    known = [one for one in client.search_registered_models(f"name = '{name}'") if one.name == name]
    if not known:
        client.create_registered_model(name)
    there = [
        version
        for version in client.search_model_versions(f"run_id = '{run.info.run_id}'")
        if version.name == name
    ]
    if there:
        return f"registered before as version {there[0].version} of {name}"
    version = client.create_model_version(
        name,
        source=f"{run.info.artifact_uri}/bundle",
        run_id=run.info.run_id,
        description=parcel.bundle.title,
        tags={"paretune.artifact_sha256": parcel.artifact_sha256},
        await_creation_for=0,  # a server answers when it is made; others wait in silence
    )
    return f"registered as version {version.version} of {name}"


def _page(address: str, experiment: str, run_id: str) -> str:
    shown = shown_address(address).rstrip("/")
    if not shown.startswith(("http://", "https://")):
        return f"{shown}, run {run_id}"
    return f"{shown}/#/experiments/{experiment}/runs/{run_id}"


def check_name(name: str | None) -> None:
    """Raises:
    UserError: no registered model can be called so.
    """
    if name is not None and (not name.strip() or any(c in name for c in "/:'\"")):
        raise UserError(
            "not a name for a registered model",
            place="--name",
            found=repr(name),
            accepted="a name without / : and quotation marks",
        )
