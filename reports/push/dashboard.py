"""A candidate's report, card and bundle beside its trial on Optuna's dashboard."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

from ...profiles.files import write_whole
from ...search.run.stored import stored_study
from ...search.storage.artifacts import keep_artifacts
from ...search.storage.url import StorageUrl
from ..bundle.write import bundle_written
from .card import card_text
from .parcel import Parcel
from .pushed import DASHBOARD, Pushed

ARTIFACTS = "artifacts"
_CARD = "model_card.md"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive, so that the same bundle is the same archive."""


def to_dashboard(parcel: Parcel, into: Path | None = None, license_id: str = "") -> Pushed:
    """Keep report, card and bundle (as a zip file) as artifacts of the trial. `into` is the artifact
    directory (left out: that of the run).

    Raises:
        UserError: the study's storage, or the directory, cannot be written.
    """
    url, name = stored_study(parcel.run_dir)
    folder = (into or parcel.run_dir / ARTIFACTS).absolute()
    card = parcel.bundle.folder.parent / _CARD
    archive = card.with_name(f"bundle-trial-{parcel.bundle.trial}.zip")
    with bundle_written(archive):
        write_whole(card, card_text(parcel, parcel.bundle.title, license_id))
        _zip(parcel.bundle.folder, archive)
    report = parcel.run_dir / "report" / "report.html"
    files = [path for path in (report, card, archive) if path.is_file()]
    new = keep_artifacts(url, name, parcel.bundle.trial, files, folder)
    return Pushed(
        to=DASHBOARD,
        where=str(folder),
        trial=parcel.bundle.trial,
        already=not new,
        notes=(f"to see it: {_command(url, folder)}",),
    )


def _command(url: StorageUrl, folder: Path) -> str:
    """Of a server, a password is left to whoever starts it."""
    file = url.file
    shown = url.shown if file is None else f"sqlite:///{file}"
    return f"optuna-dashboard {shlex.quote(shown)} --artifact-dir {shlex.quote(str(folder))}"


def _zip(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{archive.stem}/{path.relative_to(folder).as_posix()}", _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as source, packed.open(entry, "w", force_zip64=True) as target:
                while part := source.read(2**20):
                    target.write(part)
