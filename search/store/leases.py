"""Who makes an entry, of all machines that share an object store: a lease on its key.

    leases/<stage>/<key>/<generation>   who holds it, and how often that was renewed

The first lease of a key is generation 1. It is put only where there is none, so that one of many gets it; a
thread renews it, and it is removed at the end. Whoever waits watches it: one that was seen to stand still for
`lapse` seconds of the watcher's own clock has lost its holder, and whoever puts the next generation, again
only where there is none, is the holder. No clock of one machine is compared with that of another.

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

from ...profiles.passwords import without_passwords
from .key_lock import Waited, unheeded
from .objects import Objects

LEASES = "leases"
_END_S = 3.0
"""For so long the end waits for an object store: a lease that is not removed lapses."""
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
    (whose name is `cache`) already. While it is waited for, `waited` is told every few seconds how many there
    were since the last time; what it raises ends the wait."""

    def __init__(
        self,
        objects: Objects,
        stage: str,
        key: str,
        cache: str,
        beat: Beat,
        waited: Waited = unheeded,
    ) -> None:
        self._objects, self._cache, self._beat, self._waited = objects, cache, beat, waited
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
            thread.join(_END_S)
            if not self._objects.is_silent:  # else it lapses
                with self._forgiving("given back"):
                    self._remove(self._objects.patient(_END_S))

    def _take(self, needless: Callable[[], bool]) -> bool:
        wanted, seen, stood, looked, told = 1, None, 0.0, time.monotonic(), False
        while True:
            if wanted and self._created(wanted):
                return True
            last, wanted = self._last(self._objects), 0
            if last is not None and self._is_ours(last.text):  # the answer to our put was lost
                self._generation = last.generation
                return True
            now = time.monotonic()
            # Who could not look has not seen it stand still: the holder may have had no line either.
            stood = stood + min(now - looked, 2 * self._beat.look) if last == seen else 0.0
            self._waited(now - looked)
            seen, looked = last, now
            if last is None:
                wanted = 1
            elif self._is_of_a_dead_one(last.text) or stood > self._beat.lapse:
                _log.warning("store: whoever made %s is gone: it is made here", self._what)
                wanted = last.generation + 1
                continue
            if needless():
                return False
            if not told:
                _log.info("store: another machine is making %s, waiting for it", self._what)
                told = True
            time.sleep(self._beat.look)

    def _created(self, generation: int) -> bool:
        """Put the lease of a generation where there is none; whether we have it."""
        if not self._objects.create(self._name(generation), self._text()):
            return False
        if max(self._generations(self._objects), default=0) > generation:  # its holder is about to remove all
            self._objects.remove(self._name(generation))
            return False
        self._generation = generation
        return True

    def _renew(self) -> None:
        objects = self._objects.patient(self._beat.every)
        while not self.lost and not self._ended.wait(self._beat.every):
            with self._forgiving("renewed"):  # the next one may get there
                self._renew_once(objects)

    def _renew_once(self, objects: Objects) -> None:
        last = self._last(objects)
        self._beats += 1
        if last is not None and not self._is_ours(last.text):
            self.lost = True
            _log.warning("store: %s is made on another machine as well", self._what)
        elif last is not None:
            objects.write(self._name(self._generation), self._text())
        elif not self._ended.is_set():  # removed by hand, or by a rule of the bucket's
            objects.create(self._name(self._generation), self._text())

    def _remove(self, objects: Objects) -> None:
        """Remove it after those that it took over; where it was taken over itself, all is the successor's."""
        last = self._last(objects)
        if last is not None and self._is_ours(last.text):
            for generation in range(1, self._generation + 1):
                objects.remove(self._name(generation))

    @contextmanager
    def _forgiving(self, done: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            words = without_passwords(str(error))
            _log.info("store: the lease of %s could not be %s: %s", self._what, done, words)

    def _last(self, objects: Objects) -> _LeaseSeen | None:
        """The latest generation."""
        found = self._generations(objects)
        text = objects.read(self._name(max(found))) if found else None
        return None if text is None else _LeaseSeen(generation=max(found), text=text)

    def _generations(self, objects: Objects) -> list[int]:
        return [int(name) for name in objects.below(self._folder) if name.isdigit()]

    def _name(self, generation: int) -> str:
        return f"{self._folder}/{generation:06d}"

    def _text(self) -> bytes:
        by = {"token": self._token, "cache": self._cache, "host": platform.node(), "process": os.getpid()}
        return json.dumps({**by, "beats": self._beats}).encode()

    def _is_of_a_dead_one(self, text: bytes) -> bool:
        """Whether it was left by a process of this machine with this very cache: if it lived, it would hold
        the lock on the key there, which we hold. Of a cache that two machines have (on a network disk, in an
        image that was copied) each may see its own locks alone."""
        with suppress(ValueError, LookupError, TypeError):
            said = json.loads(text)
            return (said["cache"], said["host"]) == (self._cache, platform.node())
        return False

    def _is_ours(self, text: bytes) -> bool:
        return self._token.encode() in text
