"""The small file in a run's directory that tells where its study is stored."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import open_regular, write_whole
from .url import StorageUrl

RUN_FILE = "run.json"
_LARGEST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """What the file says: the study's name and storage, the study file it was run from, and the store.

    The passwords of `storage` are not in the file. `own`: the study lies in the run's directory. Of one that
    is retargeted, `of` is the study whose models it has, and `profile` the one it was given.
    """

    name: str
    storage: StorageUrl
    study_file: Path
    store: Path
    own: bool
    of: str = ""
    profile: str = ""


def write_run_file(run_dir: Path, run: RunFile) -> None:
    """So that a run directory alone is enough to find the study again; no password is written.

    Raises:
        OSError: it cannot be written.
    """
    plain = {
        "name": run.name,
        "storage": "" if run.own else run.storage.kept,
        "study_file": str(run.study_file),
        "study_file_from_here": os.path.relpath(run.study_file, run_dir),
        "store": str(run.store),
    }
    if run.of:
        plain |= {"of": run.of, "profile": run.profile}
    if not run.own and not run.storage.keeps_all:
        plain |= {"password": "not kept: the study file has it, or the place where the driver looks for one"}
    file = run_dir / RUN_FILE
    write_whole(file, json.dumps(plain, indent=1))
    if not run.own:
        file.chmod(0o600)  # hosts, users and databases are nobody else's business


def read_run_file(run_dir: Path) -> RunFile:
    """What a run's directory says.

    Raises:
        UserError: there is no run there, or its file cannot be read.
    """
    file = run_dir / RUN_FILE
    plain = _plain(file, run_dir)
    try:
        name, text = _text(plain, "name"), _text(plain, "storage", "")
        if not name:
            raise ValueError("its 'name' is empty")
        study_file = Path(_text(plain, "study_file", ""))
        moved = run_dir / _text(plain, "study_file_from_here", "")
        if moved.is_file() and not study_file.is_file():  # the whole project lies elsewhere by now
            study_file = moved.resolve()
        own = not text
        storage = (
            StorageUrl.of_file(run_dir.resolve() / "study.db")
            if own
            else StorageUrl.written(text, study_file.parent, place=str(file))
        )
        store = Path(_text(plain, "store", ""))
        of, profile = _text(plain, "of", ""), _text(plain, "profile", "")
    except ValueError as error:
        raise _unreadable(file, str(error)) from None
    return RunFile(
        name=name, storage=storage, study_file=study_file, store=store, own=own, of=of, profile=profile
    )


def _plain(file: Path, run_dir: Path) -> dict[str, Any]:
    try:
        with open_regular(file) as opened:
            content = opened.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise _unreadable(file, f"more than {_LARGEST} bytes")
        plain = json.loads(content.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not file.is_symlink():
            raise UserError(
                "no run here",
                place=str(run_dir),
                accepted="the directory of a run (runs/NAME), or the study file it was run from",
            ) from None
        raise _unreadable(file, getattr(error, "strerror", None) or str(error)) from None
    if not isinstance(plain, dict):
        raise _unreadable(file, f"JSON, but {type(plain).__name__} in place of an object")
    return plain


def _text(plain: dict[str, Any], key: str, usual: str | None = None) -> str:
    value = plain.get(key, usual)
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"its {key!r} is {'missing' if value is None else 'no text that can be one'}")
    os.fsencode(value)
    return value


def _unreadable(file: Path, found: str) -> UserError:
    return UserError(
        "the run's own file cannot be read",
        place=str(file),
        found=found,
        remedy="name the study file in place of the directory; `paretune run` writes the file again",
    )
