"""Where a study keeps what it learns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UserError, at_place
from ...profiles.text.named import located
from ..storage.url import StorageUrl
from ..store.url import cache_of, is_url, store_url
from .study_file import StudyFile


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a study keeps what it learns. `store` is a directory of this machine; where machines share an
    object store at `store_url`, it is the cache of that one here."""

    study_file: Path
    run_dir: Path
    storage: StorageUrl
    store: Path
    store_url: str = ""

    @property
    def store_name(self) -> str:
        """How the store is opened and told of: its URL, or its directory."""
        return self.store_url or str(self.store)


def check_directories(places: Places) -> None:
    """What will be made there must not be kept from it by a file."""
    for key, directory in (("runs", places.run_dir), ("store", places.store)):
        there = next((p for p in (directory, *directory.parents) if os.path.lexists(p)), directory)
        if os.path.lexists(there) and not os.path.isdir(there):  # noqa: PTH112 - pathlib's raises
            raise UserError("a directory is needed here, and this is none", place=key, found=str(there))


def places_of(file: StudyFile, path: Path) -> Places:
    """Where the study of this file keeps what it learns; creates nothing."""
    base = path.resolve().parent
    with at_place("runs"):
        run_dir = Path(os.path.realpath(located(file.runs, base) / file.name))
    with at_place("store"):
        url = store_url(file.store) if file.store and is_url(file.store) else ""
        store = cache_of(url) if url else located(file.store or ".paretune/store", base)
    place = f"{path}: storage"
    own = StorageUrl.of_file(run_dir / "study.db")
    return Places(
        study_file=path.resolve(),
        run_dir=run_dir,
        storage=own if file.storage is None else StorageUrl.written(file.storage, base, place),
        store=Path(os.path.realpath(store)),
        store_url=url,
    )
