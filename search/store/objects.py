"""Objects of an object store, as fsspec reaches them: whole ones, put and got by their names.

An object is there whole or not at all, and one that was put is seen by all at once. `create` puts one only
where there is none, which of several that try at a time succeeds for one.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ...profiles.errors import UserError
from ...profiles.files import sha256_of
from ...profiles.passwords import without_passwords
from ...profiles.words import duration
from .object_trouble import is_taken, no_filesystem, passes, refused, without_bucket

PATIENCE_S = 600.0
"""For how long an object store is asked again that does not answer, or says that it is busy."""
_TOLD_AFTER_S = 10.0
_PAUSES = (0.5, 10.0)
_PUTS = 5
_TIMES = ("LastModified", "mtime", "last_modified", "updated", "created")
_SAYS = ("AWS_", "AZURE_", "FSSPEC_", "GOOGLE_")
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass
class _Line:
    """Since when (by the monotonic clock) an object store has not answered; None where it did."""

    silent_since: float | None = None


class Objects:
    """The objects below `url`; their names are relative to it ("files/a/b").

    Raises:
        UserError: no package reaches such a store, or the URL is none of its own.
    """

    def __init__(self, url: str, patience: float = PATIENCE_S) -> None:
        self.url, self.patience, self._line = url, patience, _Line()
        said = [item for item in os.environ.items() if item[0].startswith(_SAYS)]
        self._system, self._root = _reached(url, os.getpid(), tuple(sorted(said)))
        # Small objects by one question: otherwise s3fs first asks how large they are.
        self._at_once = {"max_concurrency": 1} if url.startswith("s3") else {}

    def patient(self, seconds: float) -> Objects:
        """The same, asked again for so long."""
        found = copy(self)
        found.patience = seconds
        return found

    @property
    def is_silent(self) -> bool:
        """Whether the store has not answered for a while, whoever of this process asked."""
        since = self._line.silent_since
        return since is not None and time.monotonic() - since > _TOLD_AFTER_S

    def read(self, name: str) -> bytes | None:
        """The content of an object; None where there is none.

        Raises:
            UserError: as all of these methods: the store cannot be asked.
        """
        return self._or_nothing(lambda: bytes(self._system.cat_file(self._at(name), **self._at_once)))

    def sha256(self, name: str) -> str | None:
        """The hash of an object's content, as it comes; None where there is none."""

        def digest() -> str:
            with self._system.open(self._at(name), "rb") as file:
                return sha256_of(file)

        return self._or_nothing(digest)

    def download(self, name: str, to: Path) -> bool:
        """Write the content of an object to a file; whether there is such an object.

        Raises:
            UserError: as `read`.
            OSError: the disk is full, or the folder is gone.
        """

        def get() -> bool:
            self._system.get_file(self._at(name), str(to))
            return True

        found = self._or_nothing(get)
        if found is None and not to.parent.is_dir():  # what is missing is missing here
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(to))
        return found is not None

    def write(self, name: str, content: bytes) -> None:
        """Put an object in the place of what was there."""
        self._asked(lambda: self._system.pipe_file(self._at(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Put an object where there is none; False where there is one.

        Where an answer is lost on its way and the question is asked again, False may be said of one's own.
        """

        def put() -> bool:
            try:
                self._system.pipe_file(self._at(name), content, mode="create")
            except Exception as error:
                if is_taken(error):
                    return False
                raise
            return True

        return self._asked(put)

    def created(self, name: str, content: bytes) -> bytes:
        """Put an object where there is none; what is there then."""
        for _ in range(_PUTS):
            if self.create(name, content):
                return content
            if (there := self.read(name)) is not None:
                return there
        raise UserError(
            "the object store says of an object that it is there, and then that it is not",
            place=self.url,
            found=name,
            remedy="see that nothing else removes objects there, and run again: what was finished is kept",
        )

    def upload(self, source: Path, name: str) -> None:
        """Put a file as an object, in the place of what was there."""
        self._asked(lambda: self._system.put_file(str(source), self._at(name)))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        self._or_nothing(lambda: self._system.rm_file(self._at(name)))

    def below(self, folder: str) -> Mapping[str, float]:
        """When the objects below a folder were put, in seconds of the store's clock, by their names there."""
        start = f"{self._at(folder)}/"
        found = self._or_nothing(lambda: self._system.find(start, detail=True)) or {}
        names = {str(path)[len(start) :]: facts for path, facts in found.items()}
        return {name: _time(facts) for name, facts in names.items() if name}

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _or_nothing(self, ask: Callable[[], T]) -> T | None:
        """What is answered; None where there is no such object."""

        def asked() -> T | None:
            try:
                return ask()
            except FileNotFoundError as error:
                if without_bucket(error):
                    raise
                return None

        return self._asked(asked)

    def _asked(self, ask: Callable[[], T]) -> T:
        """What is answered, after another try or two where the store does not answer."""
        started, pause, told = time.monotonic(), _PAUSES[0], False
        while True:
            try:
                found = ask()
            except Exception as error:
                now, again = time.monotonic(), passes(error)
                if self._line.silent_since is None or not again:
                    self._line.silent_since = now if again else None
                waited = now - started
                if waited + pause > self.patience or not again:
                    said = refused(self.url, error)
                    raise said from (None if said is error else error)
                if waited > _TOLD_AFTER_S and not told:
                    told, most = True, duration(self.patience)
                    words = without_passwords(str(error))
                    _log.warning("store: %s does not answer, asked for up to %s: %s", self.url, most, words)
            else:
                self._line.silent_since = None
                return found
            time.sleep(pause)
            pause = min(2 * pause, _PAUSES[1])


def _time(facts: Mapping[str, Any]) -> float:
    found = next((facts[name] for name in _TIMES if facts.get(name) is not None), 0.0)
    return found.timestamp() if isinstance(found, datetime) else float(found)


@lru_cache(maxsize=8)
def _reached(url: str, process: int, environment: tuple[tuple[str, str], ...]) -> tuple[Any, str]:
    """What reaches the store, and how it calls its URL. It is dear to make, of no use to another process, and
    made of what the environment says."""
    try:
        from fsspec.core import url_to_fs

        # What other machines put has to be seen at once.
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if url.startswith("file:"):
            options["auto_mkdir"] = True
        system, root = url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise no_filesystem(url, error) from error
    except Exception as error:
        said = refused(url, error)
        raise said from (None if said is error else error)
    return system, str(root).rstrip("/")
