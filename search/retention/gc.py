"""A store made smaller: what the runs that use it need stays, the rest goes once nobody has asked for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path

from ...profiles.errors import UserError, at_place
from ...profiles.locks import locked
from ...profiles.text.units import parse_bytes
from ...profiles.words import counted
from ..record.progress import Progress
from ..store.contents import Stored, contents
from ..store.identity import shared_by
from ..store.removal import remove_checkpoints, remove_locks, remove_unused
from ..store.store import Store
from ..store.trouble import writing
from ..store.users import forget_run, sessions
from .needed import with_causes
from .runs import UsingRun, find_runs, place_of, using_run

KEEP_DAYS = 14.0
"""Days for which what no run needs is kept after somebody last asked for it."""
GRACE_S = 3600.0
"""What was asked for in the last hour is never removed: a command may be about to read it."""
CHECKPOINTS = "checkpoints"
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Amount:
    """So many entries of the store, and their bytes."""

    entries: int = 0
    size_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(entries=self.entries + other.entries, size_bytes=self.size_bytes + other.size_bytes)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was freed of a store, by kind ("compile", "distill", "checkpoints"), and what stays: `needed` by
    the runs, and `recent`, which was asked for a short while ago. `dry_run`: nothing was removed, `freed` is
    what would be. `over_bytes` is by how much the store is larger than was asked for, since what stays cannot
    be removed. `forgotten` are runs that are no longer there, `sessions` counts those at work. `cache_of` is
    the URL of the object store that this is only the cache of."""

    store: Path
    runs: tuple[UsingRun, ...]
    freed: Mapping[str, Amount]
    needed: Mapping[str, Amount]
    recent: Mapping[str, Amount]
    keep_days: float
    dry_run: bool = False
    max_bytes: int | None = None
    over_bytes: int = 0
    forgotten: tuple[Path, ...] = ()
    cache_of: str = ""
    sessions: int = 0

    @property
    def exit_code(self) -> int:
        """0; 2 where the store stays larger than it may be."""
        return 2 if self.over_bytes else 0


def store_gc(
    path: Path,
    *,
    keep_days: float = KEEP_DAYS,
    max_size: int | str | None = None,
    dry_run: bool = False,
    runs: Sequence[Path] = (),
    forget: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Collected:
    """Remove from a store what no run needs and nobody has asked for in the last `keep_days` days; with
    `max_size` (bytes, or "5 GB") also what is younger, the longest unused first, until it is no larger.

    `path` is a study file, a run's directory or the store's. `runs` are further runs that use the store,
    beside those it remembers and those that lie beside them; `forget` are runs that are gone for good.
    It may be ended at any moment, and studies may run meanwhile: what they ask for stays.

    Raises:
        UserError: there is no store, a run cannot be read or found, another process removes from the store
            (nothing was removed then), or it cannot be written.
    """
    progress = progress or Progress()
    with at_place("--max-size"):
        max_bytes = parse_bytes(max_size) if isinstance(max_size, str) else max_size
    root, run_dir = place_of(path)
    with _alone(root):
        Store(root)  # sweeps what killed processes left
        found = find_runs(root, run_dir, runs, forget)
        at_work = sessions(root)
        using = tuple(using_run(one, at_work) for one in found.there)
        progress.note(f"{counted(len(using), 'run')} found that use the store; looking through it")
        named = frozenset[str]().union(*(run.needs.keys for run in using))
        needed, others = _parted(root, named)
        since = min((session.since for session in at_work), default=inf)
        latest = min(since, time.time() - GRACE_S)
        sweep = _Sweep(root, others, dry_run=dry_run, progress=progress)
        sweep.unused_since(min(latest, time.time() - keep_days * _DAY_S), named)
        if max_bytes is not None:
            sweep.down_to(max_bytes - _bytes(needed), latest)
        if not dry_run:
            for gone in (*found.gone, *map(Path.absolute, forget)):
                forget_run(root, gone)
    left = _bytes(needed) + _bytes(sweep.left)
    return Collected(
        store=root,
        runs=using,
        freed=sweep.freed,
        needed=amounts(needed),
        recent=amounts(sweep.left),
        keep_days=keep_days,
        dry_run=dry_run,
        max_bytes=max_bytes,
        over_bytes=0 if max_bytes is None else max(0, left - max_bytes),
        forgotten=found.gone,
        sessions=len(at_work),
        cache_of=shared_by(root),
    )


def amounts(entries: Iterable[Stored]) -> Mapping[str, Amount]:
    """How much there is of each kind, the most first."""
    found: dict[str, Amount] = {}
    for entry in entries:
        found[entry.stage] = found.get(entry.stage, Amount()) + Amount(entries=1, size_bytes=entry.size_bytes)
    return dict(sorted(found.items(), key=lambda item: -item[1].size_bytes))


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    with writing(root), locked(root / ".locks" / "store-gc", wait=False) as free:
        if not free:
            raise UserError(
                "another process is removing from this store",
                place=str(root),
                remedy="wait for it: what it frees need not be freed again",
            )
        yield


def _parted(root: Path, named: frozenset[str]) -> tuple[list[Stored], list[Stored]]:
    """The entries that are needed where these are, and the others, the longest unused first."""
    entries = sorted(contents(root), key=lambda entry: entry.used)
    keys = with_causes(entries, named)
    needed = [entry for entry in entries if entry.key in keys]
    return needed, [entry for entry in entries if entry.key not in keys]


def _bytes(entries: Iterable[Stored]) -> int:
    return sum(entry.size_bytes for entry in entries)


class _Sweep:
    """Removes from entries that no run needs, `left`, and counts by kind what it has `freed`."""

    def __init__(self, root: Path, entries: list[Stored], *, dry_run: bool, progress: Progress) -> None:
        self._root, self._dry_run, self._progress = root, dry_run, progress
        self.left, self.freed = entries, dict[str, Amount]()

    def unused_since(self, before: float, named: frozenset[str]) -> None:
        """What was not asked for since then, with checkpoints that nobody has gone on with and that are not
        `named`."""
        self._remove([entry for entry in self.left if entry.used < before], before)
        count, size = remove_checkpoints(self._root, before, named, dry_run=self._dry_run)
        if count:
            self.freed[CHECKPOINTS] = Amount(entries=count, size_bytes=size)
        if not self._dry_run:
            remove_locks(self._root, before)

    def down_to(self, most_bytes: int, before: float) -> None:
        """What was not asked for since then, until no more than so many bytes are left."""
        chosen, size = list[Stored](), _bytes(self.left)
        for entry in self.left:
            if size > most_bytes and entry.used < before:
                chosen.append(entry)
                size -= entry.size_bytes
        self._remove(chosen, before)

    def _remove(self, entries: list[Stored], before: float) -> None:
        gone = set[str]()
        told = ((e, True) for e in entries) if self._dry_run else remove_unused(self._root, entries, before)
        for entry, removed in told:
            if removed:
                gone.add(entry.key)
                one = Amount(entries=1, size_bytes=entry.size_bytes)
                self.freed[entry.stage] = self.freed.get(entry.stage, Amount()) + one
                self._progress.stage(f"removed {len(gone)} of {len(entries)}")
        self.left = [entry for entry in self.left if entry.key not in gone]
