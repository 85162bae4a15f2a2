"""Which object store a directory is the cache of, and what of it has still to be put there."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import make_folder, sync, write_whole
from ...profiles.locks import locked
from .contents import stages_of
from .objects import Objects
from .trouble import writing
from .uses import LOCKS

_SHARED, _UNSENT = ".shared", ".unsent"
_IDENTITY, _FORMAT = "store.json", 1


def unsent_mark(root: Path, stage: str, key: str) -> Path:
    """The file that is there as long as an entry of the cache has still to be put."""
    return root / _UNSENT / f"{stage}.{key}"


def shared_by(root: Path) -> str:
    """The URL of the object store that a directory is the cache of; "" where it is none."""
    with suppress(OSError):
        return _note(root)[0]
    return ""


def is_store(objects: Objects) -> bool:
    """Whether there is an object store, ours or another one, where one could be opened; nothing is put there.

    Raises:
        UserError: it cannot be asked.
    """
    return objects.read(_IDENTITY) is not None


def introduce(objects: Objects, root: Path) -> str:
    """See that the object store is one of ours, and note in the cache which; a name for the cache, that no
    other has.

    Raises:
        UserError: it is none, it cannot be asked, or the cache cannot be written.
    """
    identity = _identity(objects)
    with writing(root):
        return _noted(root, objects.url, identity)


def _identity(objects: Objects) -> str:
    text = objects.read(_IDENTITY)
    if text is None:
        fresh = json.dumps({"format": _FORMAT, "id": uuid.uuid4().hex}).encode()
        if objects.create(_IDENTITY, fresh) and objects.create(_IDENTITY, fresh):
            raise UserError(
                "this object store puts an object over another where it was asked not to",
                place=objects.url,
                remedy="name one that knows conditional writes (If-None-Match): by them it is known who does "
                "work that is to be done once",
            )
        text = objects.created(_IDENTITY, fresh)
    try:
        plain = json.loads(text)
        identity, version = str(plain["id"]), plain["format"]
    except (ValueError, LookupError, TypeError) as error:
        raise _not_ours(objects.url, f"{_IDENTITY}: {error}") from error
    if version != _FORMAT:
        raise _not_ours(objects.url, f"format {version} of another version, this one reads {_FORMAT}")
    return identity


def _noted(root: Path, url: str, identity: str) -> str:
    """The name of the cache. Of another object store (the bucket was made anew, the service is another one),
    or of none, it is as good for this one; what it has is put there when it is asked for."""
    before, of, cache = _note(root)
    if (before, of) == (url, identity) and cache:
        return cache
    make_folder(root / LOCKS)
    with locked(root / LOCKS / "shared"):  # of several processes that come first, one gives the name
        before, of, cache = _note(root)
        if (before, of) == (url, identity) and cache:
            return cache
        for stage in stages_of(root):
            make_folder(root / _UNSENT)
            for path in stage.iterdir():
                unsent_mark(root, stage.name, path.name).touch()
        if (root / _UNSENT).is_dir():
            sync(root / _UNSENT)
        cache = cache or uuid.uuid4().hex
        write_whole(root / _SHARED, f"{url}\n{identity}\n{cache}\n")
        return cache


def _note(root: Path) -> tuple[str, str, str]:
    """The store's URL, which one it is, and the name of the cache; all empty where nothing was noted."""
    text = ""
    with suppress(FileNotFoundError):
        text = (root / _SHARED).read_text(encoding="utf-8", errors="replace")
    url, identity, cache = [*text.splitlines(), "", "", ""][:3]
    return url, identity, cache


def _not_ours(url: str, found: str) -> UserError:
    return UserError(
        "what is at the store's URL is no store of this version",
        place=url,
        found=found,
        remedy="name another prefix: s3://BUCKET/ANOTHER",
    )
