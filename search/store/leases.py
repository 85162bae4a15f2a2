"""Who makes an entry, of all machines that share an object store: a lease on its key.

    leases/<stage>/<key>/<generation>   who holds it, and how often that was renewed

The first lease of a key is generation 1. It is put only where there is none, so that one of many gets it; a
thread renews it, and it is removed at the end. Whoever waits watches it: one that does not change for `lapse`
seconds of the watcher's own clock has lost its holder, and whoever puts the next generation, again only where
there is none, is the holder. No clock of one machine is compared with that of another.

A holder that was suspended for longer finds a later generation when it wakes up. It does no harm: it no
longer renews, and what it makes is put under names that have the content's hash, so that a second put of an
entry changes nothing of the first (`RemoteStore`).
"""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ...profiles.errors import UserError
from .objects import Objects

LEASES = "leases"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Beat:
    """In seconds: how often a lease is renewed (`every`) and looked at (`look`), and how long it stands still
    before it is taken over (`lapse`)."""

    every: float = 10.0
    look: float = 2.0
    lapse: float = 45.0


@dataclass(frozen=True, kw_only=True)
class _LeaseSeen:
    """A lease as it was found."""

    generation: int
    text: bytes


class KeyLease:
    """The lease of one key, held or waited for by this process, which holds the lock on the key in its cache
    (whose name is `cache`) already."""

    def __init__(self, objects: Objects, stage: str, key: str, cache: str, beat: Beat) -> None:
        self._objects, self._cache, self._beat = objects, cache, beat
        self._folder, self._what = f"{LEASES}/{stage}/{key}", f"{stage} {key[:12]}"
        self._token, self._beats, self._generation = uuid.uuid4().hex, 0, 0
        self._ended = threading.Event()
        self.lost = False
        """Whether another has taken it over."""

    @contextmanager
    def held(self, needless: Callable[[], bool]) -> Iterator[KeyLease]:
        """Hold it once it is free, or hold nothing where meanwhile it turns out to be `needless`.

        Raises:
            UserError: the object store cannot be asked.
        """
        if not self._take(needless):
            yield self
            return
        thread = threading.Thread(target=self._renew, name=f"lease of {self._what}", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join(self._beat.every)
            with suppress(UserError):  # it lapses
                self._remove()

    def _take(self, needless: Callable[[], bool]) -> bool:
        wanted, seen, since, told = 1, None, 0.0, False
        while True:
            if wanted and self._objects.create(self._name(wanted), self._text()):
                self._generation = wanted
                return True
            last, wanted = self._last(), 0
            if last is not None and self._is_ours(last.text):  # the answer to our put was lost
                self._generation = last.generation
                return True
            now = time.monotonic()
            if last is None:
                wanted = 1
            elif self._is_of_a_dead_one(last.text) or (last == seen and now - since > self._beat.lapse):
                _log.warning("store: whoever made %s is gone: it is made here", self._what)
                wanted = last.generation + 1
                continue
            elif last != seen:
                seen, since = last, now
            if needless():
                return False
            if not told:
                _log.info("store: another machine is making %s, waiting for it", self._what)
                told = True
            time.sleep(self._beat.look)

    def _renew(self) -> None:
        while not self._ended.wait(self._beat.every):
            with suppress(UserError):  # the next one may get there
                last = self._last()
                if last is None or not self._is_ours(last.text):
                    self.lost = True
                    _log.warning("store: %s is made on another machine as well", self._what)
                    return
                self._beats += 1
                self._objects.write(self._name(self._generation), self._text())

    def _remove(self) -> None:
        """Remove it after those that it took over; a later one is left to its holder."""
        for generation in range(1, self._generation + 1):
            self._objects.remove(self._name(generation))

    def _last(self) -> _LeaseSeen | None:
        """The latest generation."""
        found = [int(name) for name in self._objects.below(self._folder) if name.isdigit()]
        text = self._objects.read(self._name(max(found))) if found else None
        return None if text is None else _LeaseSeen(generation=max(found), text=text)

    def _name(self, generation: int) -> str:
        return f"{self._folder}/{generation:06d}"

    def _text(self) -> bytes:
        by = {"token": self._token, "cache": self._cache, "host": platform.node(), "process": os.getpid()}
        return json.dumps({**by, "beats": self._beats}).encode()

    def _is_of_a_dead_one(self, text: bytes) -> bool:
        """Whether it was left by a process with this very cache: if it lived, it would hold the lock on the
        key there, which we hold."""
        return self._cache.encode() in text

    def _is_ours(self, text: bytes) -> bool:
        return self._token.encode() in text
