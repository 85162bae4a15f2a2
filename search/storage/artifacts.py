"""Files that belong to a trial, where optuna-dashboard looks for them.

Optuna keeps what an artifact is called among the attributes of its trial, and lets nobody change those of a
finished one. For such, the dashboard reads the study's attributes as well, under a name with the trial's
number in the storage.
"""

from __future__ import annotations

import json
import mimetypes
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage

from ...profiles.errors import UserError
from ...profiles.files import sha256_of
from .storage import close_storage, open_storage, storage_trouble_explained, writing
from .study_store import StudyStore
from .url import StorageUrl

_UNKNOWN = "application/octet-stream"


def keep_artifacts(
    url: StorageUrl, study: str, number: int, files: Sequence[Path], folder: Path
) -> tuple[str, ...]:
    """Keep files with a trial, each in the place of one of its name; those that were not there already are
    named. `folder` is the artifact store.

    Raises:
        UserError: there is no such study, or storage or folder cannot be written.
    """
    with storage_trouble_explained(url), closing(StudyStore.load(url, study)) as opened:
        numbers = {trial.number: trial._trial_id for trial in opened.study.get_trials(deepcopy=False)}
        if number not in numbers:
            raise UserError(f"the study's storage has no trial {number}", place=url.shown)
        storage = open_storage(url, make=False)
        try:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                shelf = _Shelf(
                    storage=storage,
                    study=opened.study._study_id,
                    prefix=f"dashboard:artifacts:{numbers[number]}:",
                    kept=FileSystemArtifactStore(folder),
                )
                return tuple(path.name for path in files if shelf.keep(path))
        finally:
            close_storage(storage)


@dataclass(frozen=True, kw_only=True)
class _Shelf:
    """The artifacts of one trial: a study's attributes under a prefix name them, a store has them."""

    storage: BaseStorage
    study: int
    prefix: str
    kept: FileSystemArtifactStore

    def keep(self, path: Path) -> bool:
        """Whether it was not there already."""
        known = self._known().get(path.name)
        if known is not None and self._has(known, path):
            return False
        artifact = known or str(uuid.uuid4())
        with path.open("rb") as new:
            self.kept.write(artifact, new)
        if known is None:  # last, so that nothing is named that is not there
            self.storage.set_study_system_attr(self.study, f"{self.prefix}{artifact}", _said(artifact, path))
        return True

    def _known(self) -> Mapping[str, str]:
        """Identifiers by names; one that was deleted is null there."""
        found: dict[str, str] = {}
        for key, text in self.storage.get_study_system_attrs(self.study).items():
            said: Any = None
            with suppress(ValueError, TypeError):
                said = json.loads(text) if key.startswith(self.prefix) else None
            if isinstance(said, dict):
                found[str(said.get("filename"))] = key.removeprefix(self.prefix)
        return found

    def _has(self, artifact: str, path: Path) -> bool:
        with suppress(ArtifactNotFound), self.kept.open_reader(artifact) as old, path.open("rb") as new:
            return sha256_of(old) == sha256_of(new)
        return False


def _said(artifact: str, path: Path) -> str:
    kind, encoding = mimetypes.guess_type(path.name)
    told = {"artifact_id": artifact, "filename": path.name}
    return json.dumps({**told, "mimetype": kind or _UNKNOWN, "encoding": encoding})
