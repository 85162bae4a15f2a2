"""A store that several machines share: an object store, with a directory of each machine as its cache.

Keys and entries are those of a directory (`Store`). An entry is made, and read, in the cache; what was made
on one machine is put in the object store, and the others fetch it once. Layout below the URL:

    store.json                            that this is one of ours, and which (`identity.py`)
    entries/<stage>/<key>.json            the manifest of an entry, put last: with it the entry is there
    files/<stage>/<key>/<sha256>/<name>   its files, under names that have the content's hash
    leases/, work/                        see `leases.py`, `work.py`

As no file is ever put over another, whoever puts the same entry a second time (it was made twice since a
lease was lost, or a copy was interrupted) cannot leave one whose files are of two makings: the manifest that
was there first stays, and names files that nobody changes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import make_folder, sync
from .asides import placed
from .contents import KEY
from .fetching import fetch_entry
from .identity import introduce, unsent_mark
from .key_lock import Waited, unheeded
from .leases import Beat, KeyLease
from .listing import Listing, manifest_name
from .manifest import MANIFEST, CorruptEntryError, UnusableHereError, manifest_of
from .objects import Objects
from .store import Entry, Store, entry_of
from .trouble import removed, writing
from .work import WorkCopies

_QUICK_S, START_S = 3.0, 20.0
_log = logging.getLogger(__name__)


class RemoteStore(Store):
    """The object store at `url`, with `root` as its cache on this machine.

    What is in the cache is asked nobody for. Further places below `root`:

        .shared                 whose cache it is
        .unsent/<stage>.<key>   entries that were made here and are not yet put

    Raises:
        UserError: `root` cannot be written, or the object store cannot be asked.
    """

    def __init__(
        self,
        root: Path,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        beat: Beat | None = None,
        waited: Waited = unheeded,
    ) -> None:
        super().__init__(root, clock, waited)
        self.url, self._beat = url, beat or Beat()
        self._objects = Objects(url)
        self._quick = self._objects.patient(_QUICK_S)
        self._listing = Listing(self._quick)
        self._copies = WorkCopies(self._objects, lambda stage, key: self._on_its_way(f"work-{stage}", key))
        self._begun: set[tuple[str, str]] = set()
        self._leases: dict[tuple[str, str], KeyLease] = {}
        self._unusable: set[tuple[str, str]] = set()
        self._keeps_back = False
        self._cache = introduce(self._objects.patient(START_S), self.root)

    def get(self, stage: str, key: str) -> Entry | None:
        """As `Store.get`; what another machine made is fetched, and checked, before it is an entry here."""
        found = super().get(stage, key)
        if found is None:
            return self._fetched(stage, key) if KEY.fullmatch(key) else None
        return super().get(stage, key) if self._replaced(stage, key) else found

    def glance(self, stage: str, key: str) -> Entry | None:
        """As `Store.glance`, also of entries that only other machines have: they are listed now and then.

        Such an entry has no files here until `get` has fetched them.
        """
        found = super().glance(stage, key)
        if found is None and (stage, key) not in self._unusable and key in self._listing.of(stage):
            try:
                text = self._quick.read(manifest_name(stage, key))
                if text is not None:
                    manifest = manifest_of(text, stage, key)
                    found = entry_of(self.root / stage / key, manifest, cached=True, seconds=0.0)
                    self._glanced[stage, key] = found
            except UnusableHereError:
                self._unusable.add((stage, key))
            except (CorruptEntryError, UserError):  # `get` says why
                return None
        return found

    def latest(self, stage: str) -> Iterator[Entry]:
        """As `Store.latest`, with those of other machines."""
        put = dict(self._listing.of(stage))
        with suppress(OSError):
            for path in (self.root / stage).iterdir():
                put.setdefault(path.name, path.stat().st_mtime)  # not yet listed
        keys = sorted(filter(KEY.fullmatch, put), key=lambda key: -put[key])
        found = (self.glance(stage, key) for key in keys)
        yield from (entry for entry in found if entry is not None)

    def discard(self, stage: str, key: str) -> None:
        """As `Store.discard`, for all machines; what has a copy of it keeps that."""
        with suppress(UserError):
            self._quick.remove(manifest_name(stage, key))
        super().discard(stage, key)

    def workdir(self, stage: str, key: str) -> Path:
        """As `Store.workdir`, with what another machine has come to."""
        if (stage, key) not in self._begun:
            self._begun.add((stage, key))
            self._copies.fetch(stage, key, self._work(stage, key))
        return super().workdir(stage, key)

    def keep_work(self, stage: str, key: str) -> None:
        """Copy what is in `workdir` for other machines, beside the work that goes on."""
        lease = self._leases.get((stage, key))
        if lease is None or not lease.lost:
            self._copies.keep(stage, key, self._work(stage, key))

    @contextmanager
    def _alone(self, stage: str, key: str) -> Iterator[None]:
        with super()._alone(stage, key):
            lease = KeyLease(self._objects, stage, key, self._cache, self._beat, self._waited)
            with lease.held(lambda: self._objects.read(manifest_name(stage, key)) is not None):
                self._leases[stage, key] = lease
                try:
                    yield
                finally:
                    self._copies.settle(stage, key)
                    self._begun.discard((stage, key))
                    del self._leases[stage, key]

    def _sound(self, stage: str, key: str, started: float) -> Entry | None:
        return super()._sound(stage, key, started) or self._fetched(stage, key)

    def _make(
        self, stage: str, key: str, provenance: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]
    ) -> Entry:
        made = super()._make(stage, key, provenance, make)
        if not self._sent(stage, key, looked=True):
            self._take_theirs(stage, key)
        if (stage, key) in self._begun:
            self._copies.forget(stage, key)
        return self._as_it_stands(made)

    def _place(self, aside: Path, path: Path) -> bool:
        unsent = unsent_mark(self.root, path.parent.name, path.name)
        make_folder(unsent.parent)
        unsent.touch()
        sync(unsent.parent)
        return placed(aside, path)

    # -- to the object store ----------------------------------------------------------------------

    def _sent(self, stage: str, key: str, *, looked: bool = False) -> bool:
        """Put an entry of the cache; whether it is now the one that all have. `looked`: there was none a
        moment ago.

        Raises:
            UserError: it could not be put. It stays, and is put when it is asked for again.
        """
        path, name = self.root / stage / key, manifest_name(stage, key)
        with writing(self.root):
            text = (path / MANIFEST).read_bytes()
            there = None if looked else self._objects.read(name)
            if there is None:
                for file, facts in manifest_of(text, stage, key).files.items():
                    self._objects.upload(path / file, f"files/{stage}/{key}/{facts.sha256}/{file}")
                there = self._objects.created(name, text)
            unsent_mark(self.root, stage, key).unlink(missing_ok=True)
        return there == text

    def _replaced(self, stage: str, key: str) -> bool:
        """Put an entry that an earlier process made and did not put; whether another one has its place now.
        Nothing is done where another process is at it."""
        unsent = os.path.exists(unsent_mark(self.root, stage, key))  # noqa: PTH110 - asked for every entry
        if not unsent or self._keeps_back:
            return False
        with self._lock(stage, key, wait=False) as free:
            try:
                if free and not self._sent(stage, key):
                    self._take_theirs(stage, key)
                    return True
            except (UserError, CorruptEntryError) as error:  # what is here is as good without
                _log.warning("store: what was made here could not be put: %s", error)
                self._keeps_back = True
        return False

    # -- from the object store --------------------------------------------------------------------

    def _fetched(self, stage: str, key: str) -> Entry | None:
        """The entry, once it is in the cache; of several processes that want it, one fetches it."""
        if self._objects.read(manifest_name(stage, key)) is None:
            return None
        started = time.monotonic()
        with self._on_its_way(f"fetch-{stage}", key) as aside:
            with suppress(CorruptEntryError):
                if found := self._read(stage, key, started):  # by the one that was waited for
                    return found
            if not self._download(stage, key, aside):
                return None
            with writing(self.root):
                make_folder(self.root / stage)
                placed(aside, self.root / stage / key)
            with suppress(CorruptEntryError):
                return self._read(stage, key, started)
        return None

    def _download(self, stage: str, key: str, aside: Path) -> bool:
        with writing(self.root):
            if fetch_entry(self._objects, stage, key, aside):
                return True
        self._listing.forget(stage)
        self._glanced.pop((stage, key), None)
        return False

    def _take_theirs(self, stage: str, key: str) -> None:
        """Put the entry that another machine was first with in the place of ours, so that all have the same;
        where that one is damaged, ours is put again."""
        path, old = self.root / stage / key, self._aside(stage, key)
        with self._on_its_way(f"fetch-{stage}", key) as aside:
            if not self._download(stage, key, aside):
                self._sent(stage, key)
                return
            with writing(self.root):
                path.rename(old)
                aside.rename(path)
            removed(old)
        self._glanced.pop((stage, key), None)

    @contextmanager
    def _on_its_way(self, stage: str, key: str) -> Iterator[Path]:
        """A folder for what is copied, whose lock keeps others from sweeping it."""
        with ExitStack() as stack:
            stack.enter_context(self._lock(stage, key))
            aside = self._aside(stage, key)
            with writing(self.root):
                aside.mkdir()
            stack.callback(removed, aside)
            yield aside
