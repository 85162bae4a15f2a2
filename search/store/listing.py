"""Which entries of a stage an object store has: asked now and then, as it is wanted again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress

from ...profiles.errors import UserError
from .objects import Objects

ENTRIES = "entries"
AGAIN_S = 20.0
"""For so long what was listed is taken for what is there; what takes long to list is listed less often."""
_SHARE = 0.05
_log = logging.getLogger(__name__)


def manifest_name(stage: str, key: str) -> str:
    """The object whose being there makes an entry one."""
    return f"{ENTRIES}/{stage}/{key}.json"


class Listing:
    """The entries of each stage as they were listed last."""

    def __init__(self, objects: Objects, again_s: float = AGAIN_S) -> None:
        self._objects, self._again_s = objects, again_s
        self._known: dict[str, Mapping[str, float]] = {}
        self._until: dict[str, float] = {}
        self._told = False

    def of(self, stage: str) -> Mapping[str, float]:
        """When the entries of a stage were put, by their keys. Where the store does not answer, what is
        known."""
        started = time.monotonic()
        if started >= self._until.get(stage, 0.0):
            try:
                found = self._objects.below(f"{ENTRIES}/{stage}")
                suffix = ".json"
                keys = {n.removesuffix(suffix): put for n, put in found.items() if n.endswith(suffix)}
                self._known[stage] = keys
                dear = (time.monotonic() - started) / _SHARE
            except UserError as error:
                dear = 0.0
                if not self._told:
                    _log.warning("store: %s", error)
                self._told = True
            self._until[stage] = time.monotonic() + max(self._again_s, dear)
        return self._known.get(stage, {})

    def forget(self, stage: str) -> None:
        """What was listed is known to be wrong."""
        with suppress(KeyError):
            del self._until[stage]
