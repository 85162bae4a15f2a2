"""Stage "tune": schedules for the structure of a candidate, searched once on the device and kept.

A tuning takes minutes, so that nothing of it may be lost: what was found lies in the store's work directory
from round to round, and a session that is ended in the middle leaves it to the next one, with its seconds.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

from ....backends.contract.backend import CompileSettings, SourceModel
from ....backends.contract.tuning import Tuning
from ....backends.registry import backend_version, get_backend
from ....backends.runner.client import Guard
from ....backends.runner.leased import DeviceLease, LeasedClient
from ....profiles.errors import StageError
from ....profiles.files import sha256_of
from ...record.candidate import Candidate
from ...record.digest import digest_of
from ...record.treatment import UNTREATED
from ...store.store import Entry, Store
from .again import Again
from .keys import tune_key
from .runners import Deployment
from .settings import settings_of

FOUND = "found"
MOST_KNOWN = 16
"""The latest so many tunings on the same device are handed on: those of one search share tasks."""
LEAST_SECONDS = 1.0
_KEPT_EVERY_S = 60.0


class Tuner:
    """Tunes what has to be tuned; without a budget nothing is."""

    def __init__(
        self,
        store: Store,
        deployment: Deployment,
        lease: DeviceLease,
        guard: Guard,
        announce: Callable[[str], None],
        tuning: Tuning | None,
        again: Again,
    ) -> None:
        self._store, self._deployment = store, deployment
        self._lease, self._guard, self._announce = lease, guard, announce
        self._tuning, self._again = tuning, again

    def budget_of(self, backend: str) -> Tuning | None:
        """What a tuning for this backend may take; None where it is not tuned."""
        return self._tuning if self._tuning is not None and get_backend(backend).tunable else None

    def tuned(self, candidate: Candidate, source: Entry, meanwhile: Callable[[], None]) -> Entry:
        """What was found for the structure that was exported as `source` with untrained weights.

        `meanwhile` is called every second; what it raises ends the tuning, which a later call goes on with.
        `meta` has "facts" (what the backend tells), "seconds" (of all sessions), "note" (why it ended before
        its time) and "digest" (of the files).

        Raises:
            StageError: nothing was found.
        """
        tuning = self.budget_of(candidate.backend)
        assert tuning is not None
        causes, settings, key = self._asked(candidate, source, tuning)
        model = model_of(source)

        def make(into: Path) -> Mapping[str, Any]:
            work = self._store.workdir("tune", key)
            self._announce(f"tune, for at most {tuning.seconds:g} s")
            known, kept = self._known(causes, tuning), time.monotonic()

            def keeping() -> None:
                nonlocal kept
                if time.monotonic() - kept >= _KEPT_EVERY_S:
                    self._store.keep_work("tune", key)
                    kept = time.monotonic()
                meanwhile()

            with self._lease.held():
                told = self._in_runner(candidate.backend, model, settings, tuning, known, work, keeping)
            shutil.copytree(work / FOUND, into / FOUND, symlinks=True)
            return {**told, "budget": {"trials": tuning.trials, "seconds": tuning.seconds}}

        provenance = {**causes, "candidate": candidate.title, "source": source.key}
        entry = self._store.produce("tune", key, provenance, self._again.sturdy(make))
        if not _holds(entry.path / FOUND):
            told = ", ".join(f"{name}: {value}" for name, value in entry.meta["facts"].items())
            raise StageError("tune", f"no schedule was found in {entry.meta['seconds']:.0f} s ({told})")
        return entry

    def is_tuned(self, candidate: Candidate, source: Entry) -> bool:
        """Whether `tuned` would be answered from the store."""
        tuning = self.budget_of(candidate.backend)
        found = tuning and self._store.glance("tune", self._asked(candidate, source, tuning)[2])
        return found is not None

    def _asked(
        self, candidate: Candidate, source: Entry, tuning: Tuning
    ) -> tuple[dict[str, Any], CompileSettings, str]:
        """What a tuning depends on beside the structure, how it compiles, and its key."""
        settings = settings_of(candidate, self._deployment, False, UNTREATED)
        causes = {
            "backend": candidate.backend,
            "version": backend_version(candidate.backend),
            "device": settings.target or self._deployment.device,
            "threads": tuning.threads,
        }
        return causes, settings, tune_key(causes, settings, source.key, tuning)

    def _in_runner(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        tuning: Tuning,
        known: list[Path],
        work: Path,
        meanwhile: Callable[[], None],
    ) -> dict[str, Any]:
        """Tune for the time that earlier sessions have left, and tell what came of it."""
        found, clock, started = work / FOUND, work / "seconds", time.monotonic()
        found.mkdir(parents=True, exist_ok=True)
        spent = min(_spent(clock, found), tuning.seconds)
        left = replace(tuning, seconds=max(tuning.seconds - spent, LEAST_SECONDS))
        clock.write_text(repr(spent))
        facts: dict[str, Any] = {}
        note = ""
        try:
            with LeasedClient(self._lease, guard=self._guard) as runner:
                facts = runner.tune(backend, model, settings, left, known, found, meanwhile)
        except StageError as error:
            if error.outside or not _holds(found):
                raise
            note = error.cause  # a hang or a crash takes nothing from what was found before it
        seconds = spent + time.monotonic() - started
        return {"facts": facts, "note": note, "seconds": seconds, "digest": _digest(found)}

    def _known(self, causes: Mapping[str, Any], tuning: Tuning) -> list[Path]:
        """Folders of earlier tunings by the same backend on the same device, the latest ones. One that had
        less to spend, or did not come to its end, would keep this one from finding more."""
        alike = (
            entry
            for entry in self._store.latest("tune")
            if _as_thorough(entry, tuning)
            if all(entry.provenance.get(name) == value for name, value in causes.items())
        )
        checked = (self._store.get("tune", entry.key) for entry in alike)
        found = (entry.path / FOUND for entry in checked if entry is not None)
        return [*islice(filter(_holds, found), MOST_KNOWN)]


def _as_thorough(earlier: Entry, tuning: Tuning) -> bool:
    spent = earlier.meta["budget"]
    enough = spent["trials"] >= tuning.trials and spent["seconds"] >= tuning.seconds
    return enough and not earlier.meta["note"]


def _holds(folder: Path) -> bool:
    """Whether anything was found: databases are made empty."""
    return any(path.is_file() and path.stat().st_size for path in folder.rglob("*"))


def model_of(source: Entry, tuned: Entry | None = None) -> SourceModel:
    """An exported model, with what a tuning found for its structure."""
    path, found = source.file(source.meta["file"]), None if tuned is None else tuned.path / FOUND
    return SourceModel(path=path, format=source.meta["format"], tuned=found)


def tuned_as(tuned: Entry | None) -> str:
    """What was found, in the key of an artifact."""
    return "" if tuned is None else str(tuned.meta["digest"])


def _spent(clock: Path, found: Path) -> float:
    """Seconds of sessions that are over. The file says how many there were when the last one began, and by
    its own time when that was: it is taken to have lasted until its last round was written."""
    try:
        before, began = float(clock.read_text()), clock.stat().st_mtime
        last = max((path.stat().st_mtime for path in found.iterdir()), default=began)
    except (OSError, ValueError):
        return 0.0
    spent = before + max(0.0, last - began)
    return spent if 0.0 <= spent < inf else 0.0


def _digest(folder: Path) -> str:
    """Of the files in a folder, by name and content."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                hashes[path.relative_to(folder).as_posix()] = sha256_of(file)
    return digest_of(hashes)
