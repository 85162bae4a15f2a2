"""Questions to what is open in a runner, each answered by a function of the room whose subject it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.backend import Feed, Session
from ..energy.told import energy
from ..load.back_to_back import back_to_back
from ..load.operation import load
from ..measure.steady import settled
from . import placing


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What is open: the session, the feed that was prepared (empty before), and the batch of the session."""

    session: Session
    feed: Feed
    batch: int


def _steady(loaded: Loaded, body: Mapping[str, Any]) -> Mapping[str, Any]:
    return settled(lambda: loaded.session._run(loaded.feed), float(body["seconds"]))


OF_SESSION: Mapping[str, Callable[[Loaded, Mapping[str, Any]], Mapping[str, Any]]] = {
    "back to back": lambda loaded, body: back_to_back(loaded.session, loaded.feed, body),
    "load": lambda loaded, body: load(loaded.session, loaded.feed, loaded.batch, body),
    "steady": _steady,
    placing.OPERATION: lambda loaded, _: placing.told(loaded.session, loaded.feed),
    "energy": lambda loaded, body: energy(loaded.session, loaded.feed, body),
}
"""By the name of the operation: from what is open and the body of a request to the body of its answer."""
