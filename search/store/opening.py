"""A store opened by its name: a directory, or the URL of an object store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from .identity import is_store
from .key_lock import Waited, unheeded
from .objects import Objects
from .remote import START_S, RemoteStore
from .store import Entry, Store
from .url import cache_of, is_url, store_url


def open_store(
    named: str | Path, clock: Callable[[], float] = time.monotonic, waited: Waited = unheeded
) -> Store:
    """The store of that name, see `Store` and `RemoteStore`.

    Raises:
        UserError: it cannot be opened.
    """
    if isinstance(named, str) and is_url(named):
        url = store_url(named)
        return RemoteStore(cache_of(url), url, clock, waited=waited)
    return Store(Path(named), clock, waited)


def entry_in(named: str, stage: str, key: str) -> Entry | None:
    """An entry of a store that is perhaps no longer there; None where it or the store is gone. What this
    machine has in its cache of an object store is not asked for over the network. The name may be out of a
    stranger's record: where there is no store, none is made.

    Raises:
        UserError: the object store cannot be asked.
    """
    remote = is_url(named)
    root = cache_of(store_url(named)) if remote else Path(named)
    there = bool(named) and os.path.isdir(root)  # noqa: PTH112 - where it cannot be told, it is not there
    found = Store(root).get(stage, key) if there else None
    if found is not None or not remote or not is_store(Objects(store_url(named), START_S)):
        return found
    return open_store(named).get(stage, key)
