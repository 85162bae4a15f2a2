"""Raw latency samples in the store."""

from __future__ import annotations

import json

from ....backends.measure.latency import Rounds
from ...store.store import Entry

ROUNDS_FILE = "rounds.json"


def read_rounds(entry: Entry) -> Rounds:
    """The raw samples of a "measure" entry."""
    return Rounds.from_json(json.loads((entry.path / ROUNDS_FILE).read_text()))
