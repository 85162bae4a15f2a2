"""One candidate pushed to one of the places there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UserError
from ...search.ranking.reading import Reading
from .card import check_license
from .dashboard import to_dashboard
from .folder import to_folder
from .hub import Hub, to_hub
from .parcel import Parcel, packed
from .pushed import DASHBOARD, FOLDER, HUB, MLFLOW, Pushed, check_target
from .tracking import check_name, to_mlflow, tracking_server


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where to: `to` is "mlflow", "folder", "hf" or "dashboard".

    `uri` is the server's address, `into` the folder, `name` the registered model (MLflow), the repository
    (hub) or the card's heading (folder); `license_id` stands in the card; `public`: a repository for all.
    """

    to: str
    uri: str | None = None
    into: Path | None = None
    name: str | None = None
    license_id: str = ""
    public: bool = False

    def check(self) -> None:
        """Raises:
        UserError: there is no such target, or it has no use for what is said of it.
        """
        check_target(self.to)
        check_license(self.license_id)
        # What was said of a target that has no use for it was meant for another one.
        if self.to in (FOLDER, DASHBOARD):
            if self.uri is not None:
                raise UserError(f"--to {self.to} takes no address", place="--uri", remedy="leave --uri out")
        elif self.into is not None:
            raise UserError(
                f"--to {self.to} writes no folder", place="--into", remedy="leave it out, or --to folder"
            )
        if self.to == MLFLOW:
            check_name(self.name)


def push_trial(reading: Reading, number: int, run_dir: Path, where: Destination) -> Pushed:
    """Push a complete trial of the run in `run_dir`.

    Raises:
        UserError: no such target, trial or artifact; whatever keeps the target from taking it.
    """
    where.check()
    # What may refuse is asked before anything is packed.
    server = tracking_server(where.uri) if where.to == MLFLOW else ""
    hub = Hub.named(where.name, where.uri) if where.to == HUB else None
    with packed(reading, number, run_dir, public=hub is not None and where.public) as parcel:
        if server:
            return to_mlflow(parcel, server, where.name, where.license_id)
        if hub is not None:
            return to_hub(parcel, hub, where.license_id, public=where.public)
        if where.to == DASHBOARD:
            return to_dashboard(parcel, where.into, where.license_id)
        into = where.into or run_dir / "pushed" / f"trial-{number}"
        return to_folder(parcel, into, where.name or _title(parcel), where.license_id)


def _title(parcel: Parcel) -> str:
    """A name for the model, as near to its study's and device's as names may be."""
    bundle = parcel.bundle
    words = f"{bundle.study}-{bundle.precision}-{bundle.profile}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-.")[:90]
