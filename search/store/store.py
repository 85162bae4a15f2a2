"""Content-addressed store: what a stage made, under a key that names everything that could change the bytes.

An entry is a directory of files with a manifest. It is made aside, synced and renamed, so that it is there
whole or not at all. Whoever makes an entry holds a lock on its key, which the kernel frees when the process
ends, however it ends. Where a disk knows no locks, it may be made twice: the first one stays. Below the root:

    <stage>/<key>/          entries: the files of the stage, and manifest.json
    .making/<stage>.<key>.* entries being made, or removed (`asides.py`)
    .work/<stage>.<key>/    checkpoints of stages that were interrupted
    .locks/<stage>.<key>    locks: empty files, whose time is when somebody last asked for the entry
    .users/, .runs/         who works with it, and which runs ever did (`users.py`)
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ...profiles.errors import UserError
from ...profiles.files import file_inside, make_folder, sync, sync_tree
from ..record.digest import digest_of
from .asides import aside_of, has_ended, placed, sweep, this_machine
from .contents import KEY
from .key_lock import Waited, key_lock, unheeded
from .manifest import MANIFEST, CorruptEntryError, Manifest, check_file, read_manifest, write_manifest
from .removal import remove_entry
from .trouble import full_disk_explained, reading, removed, writing
from .uses import lock_of, touch

T = TypeVar("T")
_MADE_AGAIN = "remove the entry's folder: what was in it is made again"
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

    `meta` is what the stage had to say about its result, `provenance` what the result was made from. `path`
    is the entry's folder; its files are had by `file` alone, which never leads out of it.
    """

    path: Path
    stage: str
    key: str
    cached: bool
    seconds: float
    made_seconds: float
    files: frozenset[str]
    meta: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def read(self, name: str, reader: Callable[[Path], T]) -> T:
        """What `reader` makes of a file of the entry.

        Raises:
            UserError: the entry has no such file, or it holds something else.
        """
        path = self.file(name)
        try:
            return reader(path)
        except Exception as error:
            raise UserError(
                "a file of the store's cannot be read",
                place=str(path),
                found=f"{type(error).__name__}: {error}",
                remedy=_MADE_AGAIN,
            ) from error

    def file(self, name: str) -> Path:
        """Path of a file of the entry, by its name below the entry's folder.

        Raises:
            UserError: the entry has no such file, or no longer.
        """
        try:
            if name not in self.files:
                raise FileNotFoundError(f"it has {', '.join(sorted(self.files)) or 'none'}")
            return file_inside(self.path, name)
        except OSError as error:
            raise UserError(
                f"an entry of the store has no file {name!r}",
                place=str(self.path),
                found=error.strerror or str(error),
                remedy=_MADE_AGAIN,
            ) from error


class Store:
    """A store in the directory `root`, which is created where it is missing.

    Leftovers of killed processes are swept when a store is opened. One that cannot be written still answers
    `get`. What it takes to make an entry is told by `clock`; while another one makes it, `waited` is called.

    Raises:
        UserError: `root` cannot be created or is a file.
    """

    def __init__(
        self, root: Path, clock: Callable[[], float] = time.monotonic, waited: Waited = unheeded
    ) -> None:
        self.root, self._clock, self._waited = Path(root).absolute(), clock, waited
        self._glanced: dict[tuple[str, str], Entry] = {}
        with writing(self.root):
            make_folder(self.root)
        sweep(self.root)

    def get(self, stage: str, key: str) -> Entry | None:
        """The entry, or None. Every file is checked against its hash; a damaged entry is removed."""
        started = time.monotonic()
        if not KEY.fullmatch(key):  # of a record of others: no part of a path
            return None
        try:
            return self._read(stage, key, started)
        except CorruptEntryError as damage:
            _log.warning("store: %s %s is damaged (%s): it is taken out", stage, key[:12], damage)
        if os.access(self.root, os.W_OK):
            with suppress(UserError), self._lock(stage, key):  # who only reads can do without
                return Store._sound(self, stage, key, started)  # it may have been aside for a moment
        return None

    def glance(self, stage: str, key: str) -> Entry | None:
        """The entry if it is there, by its manifest alone: cheap, to be asked often.

        Its files are not read and may still turn out damaged, so it says what a result was, not that it can
        be used. What is found is remembered; what is not costs one look at the disk each time.
        """
        known = self._glanced.get((stage, key))
        if known is None and os.path.exists(f"{self.root}/{stage}/{key}/{MANIFEST}"):  # noqa: PTH110 - speed
            path = self.root / stage / key
            with suppress(CorruptEntryError), reading(self.root):
                known = entry_of(path, read_manifest(path, stage, key), cached=True, seconds=0.0)
                self._glanced[stage, key] = known
        return known

    def latest(self, stage: str) -> Iterator[Entry]:
        """The entries of a stage, the latest first, each by its manifest alone (see `glance`)."""
        with suppress(OSError):
            folders = sorted((self.root / stage).iterdir(), key=lambda path: -path.stat().st_mtime)
            found = (self.glance(stage, path.name) for path in folders if KEY.fullmatch(path.name))
            yield from (entry for entry in found if entry is not None)

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
        with self._alone(stage, key):
            found = self._sound(stage, key, started)
            if found is None:
                found = self._make(stage, key, provenance, make)
            removed(self._work(stage, key))
        return found

    def discard(self, stage: str, key: str) -> None:
        """Take an entry out that nobody needs any more. What cannot be taken out stays."""
        self._glanced.pop((stage, key), None)
        remove_entry(self.root, stage, key)

    @contextmanager
    def presence(self, stage: str, key: str) -> Iterator[None]:
        """Have an empty entry for the length of a block. What processes of this machine left of such entries
        of the stage, since they were killed, is swept."""
        for entry in self.latest(stage):
            if has_ended(lock_of(self.root, stage, entry.key), str(entry.meta.get("machine"))):
                self.discard(stage, entry.key)
        with ExitStack() as stack:
            stack.callback(self.discard, stage, key)
            stack.enter_context(self._lock(stage, key))
            self._make(stage, key, {}, lambda folder: {"machine": this_machine()})
            yield

    def workdir(self, stage: str, key: str) -> Path:
        """A directory for checkpoints that outlives a kill; removed once the entry is there."""
        path = self._work(stage, key)
        with writing(self.root):
            make_folder(path)
        return path

    def keep_work(self, stage: str, key: str) -> None:
        """What is in `workdir` is worth keeping now, for whoever goes on with it: here it is kept already."""

    def _alone(self, stage: str, key: str) -> AbstractContextManager[object]:
        """Nobody else makes the entry meanwhile."""
        return self._lock(stage, key, waited=self._waited)

    def _sound(self, stage: str, key: str, started: float) -> Entry | None:
        """The entry, once a damaged one is out of the way; the caller holds the lock."""
        self._discard_if_corrupt(stage, key)
        return self._read(stage, key, started)

    def _read(self, stage: str, key: str, started: float) -> Entry | None:
        path = self.root / stage / key
        if not os.path.lexists(path):
            return None
        touch(self.root, stage, key)
        with reading(self.root):
            manifest = read_manifest(path, stage, key)
            for name, expected in manifest.files.items():
                check_file(path, name, expected)
        return entry_of(path, manifest, cached=True, seconds=time.monotonic() - started)

    def _make(
        self, stage: str, key: str, provenance: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]
    ) -> Entry:
        started = self._clock()
        aside, path = self._aside(stage, key), self.root / stage / key
        with writing(self.root):
            make_folder(path.parent)
            aside.mkdir()
        try:
            with full_disk_explained(self.root, aside):
                meta = make(aside)
                manifest = write_manifest(aside, stage, key, meta, provenance, self._clock() - started)
                sync_tree(aside)
            with writing(self.root):
                ours = self._place(aside, path)
                seconds = self._clock() - started
                if seconds > _DEAR_S:  # else it is made again, should the power fail in the next seconds
                    sync(path.parent)
        finally:
            removed(aside)
        made = entry_of(path, manifest, cached=False, seconds=seconds)
        return made if ours else self._as_it_stands(made)

    def _as_it_stands(self, made: Entry) -> Entry:
        """What was made here as all have it by now: of two that made it, one was faster."""
        with suppress(CorruptEntryError), reading(self.root):
            manifest = read_manifest(made.path, made.stage, made.key)
            return entry_of(made.path, manifest, cached=False, seconds=made.seconds)
        return made

    def _discard_if_corrupt(self, stage: str, key: str) -> None:
        """Take a damaged entry out of the way; the caller holds the lock."""
        try:
            self._read(stage, key, 0.0)
        except CorruptEntryError:
            self._glanced.pop((stage, key), None)
            aside = self._aside(stage, key)
            with writing(self.root), suppress(FileNotFoundError):  # somebody else did
                (self.root / stage / key).rename(aside)
            removed(aside)  # what cannot be removed (a file that is open on NFS) is swept another day

    def _place(self, aside: Path, path: Path) -> bool:
        """An entry that was made aside is there from now on, unless there is one by now."""
        return placed(aside, path)

    def _aside(self, stage: str, key: str) -> Path:
        """A path for what is not yet, or no longer, an entry."""
        aside = aside_of(self.root, stage, key)
        with writing(self.root):
            aside.parent.mkdir(exist_ok=True)
        return aside

    def _work(self, stage: str, key: str) -> Path:
        return self.root / ".work" / f"{stage}.{key}"

    def _lock(
        self, stage: str, key: str, *, wait: bool = True, waited: Waited = unheeded
    ) -> AbstractContextManager[bool]:
        return key_lock(self.root, stage, key, wait=wait, waited=waited)


def entry_of(path: Path, manifest: Manifest, cached: bool, seconds: float) -> Entry:
    """The entry in a folder, as its manifest says."""
    return Entry(
        path=path,
        stage=manifest.stage,
        key=manifest.key,
        cached=cached,
        seconds=seconds,
        made_seconds=manifest.seconds,
        files=frozenset(manifest.files),
        meta=manifest.meta,
        provenance=manifest.provenance,
    )
