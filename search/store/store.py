"""Content-addressed store: what a stage made, under a key that names everything that could change the bytes.

An entry is a directory of files with a manifest. It is made aside, synced and renamed, so that it is there
whole or not at all. Whoever makes an entry holds a lock on its key, which the kernel frees when the process
ends, however it ends. Layout below the root:

    <stage>/<key>/          entries: the files of the stage, and manifest.json
    .making/<stage>.<key>.* entries being made       .locks/<stage>.<key>  locks (empty files, never removed)
    .work/<stage>.<key>/    checkpoints of stages that were interrupted
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import locked
from ..record.digest import digest_of
from ..record.stops import Interrupted, TrainingStopped
from .manifest import MANIFEST, CorruptEntryError, check_file, read_manifest, write_manifest

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)
_SYNCED_AT_ONCE = 8
_DEAR_S = 5.0
_log = logging.getLogger(__name__)


def content_key(stage: str, version: int, fields: Mapping[str, Any]) -> str:
    """The key (64 hex digits) of what `stage` makes from `fields`.

    `version` is raised when the stage's own code changes what it makes. `fields` are plain JSON values.
    """
    return digest_of({"stage": stage, "version": version, "fields": dict(fields)})


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the store. `cached`: it was there already. `seconds` were spent now, `made_seconds` then.

    `meta` is what the stage had to say about its result, `provenance` what the result was made from.
    """

    path: Path
    stage: str
    key: str
    cached: bool
    seconds: float
    made_seconds: float
    meta: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


class Store:
    """A store in the directory `root`, which is created where it is missing.

    Leftovers of killed processes are swept when a store is opened. One that cannot be written still answers
    `get`.

    Raises:
        UserError: `root` cannot be created or is a file.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        self._glanced: dict[tuple[str, str], Entry] = {}
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        self._sweep()

    def get(self, stage: str, key: str) -> Entry | None:
        """The entry, or None. Every file is checked against its hash; a damaged entry is removed."""
        started = time.monotonic()
        try:
            return self._read(stage, key, started)
        except CorruptEntryError as damage:
            _log.warning("store: %s %s is damaged (%s), it will be made again", stage, key[:12], damage)
        if os.access(self.root, os.W_OK):
            with self._lock(stage, key):
                self._discard_if_corrupt(stage, key)
        return None

    def glance(self, stage: str, key: str) -> Entry | None:
        """The entry if it is there, by its manifest alone: cheap, to be asked often.

        Its files are not read and may still turn out damaged, so it says what a result was, not that it can
        be used. What is found is remembered; what is not costs one look at the disk each time.
        """
        known = self._glanced.get((stage, key))
        if known is None and os.path.exists(f"{self.root}/{stage}/{key}/{MANIFEST}"):  # noqa: PTH110 - speed
            path = self.root / stage / key
            with suppress(CorruptEntryError):
                known = _entry(path, read_manifest(path), cached=True, seconds=0.0)
                self._glanced[stage, key] = known
        return known

    def produce(
        self, stage: str, key: str, provenance: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]
    ) -> Entry:
        """The entry, made by `make(directory)` if it is not there; `make` returns the entry's `meta`.

        Where two processes want the same entry, one makes it and the other waits for it.

        Raises:
            UserError: the disk is full, or the store cannot be written.
        """
        started = time.monotonic()
        found = self.get(stage, key)
        if found is not None:
            return found
        with self._lock(stage, key):
            self._discard_if_corrupt(stage, key)
            found = self._read(stage, key, started)
            if found is None:
                found = self._make(stage, key, provenance, make)
                shutil.rmtree(self._work(stage, key), ignore_errors=True)
        return found

    def workdir(self, stage: str, key: str) -> Path:
        """A directory for checkpoints that outlives a kill; removed once the entry is there."""
        path = self._work(stage, key)
        with self._writing():
            path.mkdir(parents=True, exist_ok=True)
        return path

    def _read(self, stage: str, key: str, started: float) -> Entry | None:
        path = self.root / stage / key
        if not path.is_dir():
            return None
        manifest = read_manifest(path)
        for name, expected in manifest["files"].items():
            check_file(path / name, expected["sha256"], expected["size_bytes"])
        seconds = time.monotonic() - started
        return _entry(path, manifest, cached=True, seconds=seconds)

    def _make(
        self, stage: str, key: str, provenance: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]
    ) -> Entry:
        started = time.monotonic()
        with self._writing():
            (self.root / ".making").mkdir(exist_ok=True)
            (self.root / stage).mkdir(exist_ok=True)
            aside = self.root / ".making" / f"{stage}.{key}.{uuid.uuid4().hex}"
            aside.mkdir()
        try:
            with self._full_disk_explained(aside):
                meta = make(aside)
                manifest = write_manifest(aside, stage, key, meta, provenance, time.monotonic() - started)
                _sync_tree(aside)
            path = self.root / stage / key
            aside.rename(path)
            seconds = time.monotonic() - started
            if seconds > _DEAR_S:  # else it is made again, should the power fail in the next seconds
                _sync(path.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return _entry(path, manifest, cached=False, seconds=seconds)

    def _discard_if_corrupt(self, stage: str, key: str) -> None:
        """Remove a damaged entry; the caller holds the lock."""
        try:
            self._read(stage, key, 0.0)
        except CorruptEntryError:
            self._glanced.pop((stage, key), None)
            with self._writing():
                shutil.rmtree(self.root / stage / key)

    def _work(self, stage: str, key: str) -> Path:
        return self.root / ".work" / f"{stage}.{key}"

    @contextmanager
    def _lock(self, stage: str, key: str, wait: bool = True) -> Iterator[bool]:
        """Hold the key's lock. Yields False at once if `wait` is false and another holds it."""
        path = self.root / ".locks" / f"{stage}.{key}"
        with ExitStack() as stack:
            with self._writing():
                path.parent.mkdir(exist_ok=True)
                free = stack.enter_context(locked(path, wait=False))
            if wait and not free:
                _log.info("store: another process is making %s %s, waiting for it", stage, key[:12])
                free = stack.enter_context(locked(path))
            yield free

    def _sweep(self) -> None:
        """Remove what killed processes left: a maker holds its key's lock, so a free lock has no maker."""
        making = self.root / ".making"
        if not making.is_dir() or not os.access(making, os.W_OK):
            return
        for aside in making.iterdir():
            stage, key, _ = aside.name.split(".", 2)
            with self._lock(stage, key, wait=False) as free:
                if free:
                    shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self._full(self.root, 0, error) from error
            raise self._unwritable(error) from error

    @contextmanager
    def _full_disk_explained(self, aside: Path) -> Iterator[None]:
        """Turn any error that a full disk caused into one that says so.

        Libraries that write with native code report a full disk as errors of their own, so the free space
        decides where the error itself does not tell.
        """
        try:
            yield
        except (UserError, Interrupted, TrainingStopped):
            raise  # these say what they have to say, perhaps by an entry that was made for this one
        except Exception as error:
            if not _says_full(error) and shutil.disk_usage(self.root).free >= 4096:
                raise
            raise self._full(self.root, _bytes_below(aside), error) from error

    def _full(self, path: Path, written: int, error: Exception) -> UserError:
        free_mb, written_mb = shutil.disk_usage(path).free / 1e6, written / 1e6
        return UserError(
            "no space left for the store",
            place=str(path),
            found=f"{free_mb:.1f} MB free after {written_mb:.1f} MB of the entry were written ({error})",
            remedy="free some space (or raise the quota or file size limit) and run again: what was finished "
            "is kept, and nothing half-written was left",
        )

    def _unwritable(self, error: OSError) -> UserError:
        if error.errno not in (*_FORBIDDEN, errno.EEXIST, errno.ENOTDIR):
            raise error
        return UserError(
            "the store cannot be written",
            place=str(self.root),
            found=str(error),
            remedy="make the directory writable for this user, or name another one for the store",
        )


def _entry(path: Path, manifest: dict[str, Any], cached: bool, seconds: float) -> Entry:
    return Entry(
        path=path,
        stage=manifest["stage"],
        key=manifest["key"],
        cached=cached,
        seconds=seconds,
        made_seconds=manifest["seconds"],
        meta=manifest["meta"],
        provenance=manifest["provenance"],
    )


def _bytes_below(root: Path) -> int:
    total = 0
    for path in root.rglob("*"):
        with suppress(FileNotFoundError):  # other processes work on the store at the same time
            total += path.stat().st_size if path.is_file() else 0
    return total


def _sync_tree(root: Path) -> None:
    # All at once: the disk then writes its journal once, and not once for each file.
    paths = [*root.rglob("*"), root]
    with ThreadPoolExecutor(min(len(paths), _SYNCED_AT_ONCE)) as pool:
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _says_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
