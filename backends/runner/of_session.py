"""Questions to what is open in a runner, each answered by a function of the room whose subject it is.

It is loaded with the first question of its kind: most runners are asked none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.backend import Feed, Session
from . import placing


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What is open: the session, the feed that was prepared (empty before), and the batch of the session."""

    session: Session
    feed: Feed
    batch: int


def _back_to_back(loaded: Loaded, body: Mapping[str, Any]) -> Mapping[str, Any]:
    from ..load.back_to_back import back_to_back

    return back_to_back(loaded.session, loaded.feed, body)


def _load(loaded: Loaded, body: Mapping[str, Any]) -> Mapping[str, Any]:
    from ..load.operation import load

    return load(loaded.session, loaded.feed, loaded.batch, body)


def _energy(loaded: Loaded, body: Mapping[str, Any]) -> Mapping[str, Any]:
    from ..energy.told import energy

    return energy(loaded.session, loaded.feed, body)


def _steady(loaded: Loaded, body: Mapping[str, Any]) -> Mapping[str, Any]:
    from ..measure.steady import settled

    return settled(lambda: loaded.session._run(loaded.feed), float(body["seconds"]))


OF_SESSION: Mapping[str, Callable[[Loaded, Mapping[str, Any]], Mapping[str, Any]]] = {
    "back to back": _back_to_back,
    "load": _load,
    "steady": _steady,
    placing.OPERATION: lambda loaded, _: placing.told(loaded.session, loaded.feed),
    "energy": _energy,
}
"""By the name of the operation: from what is open and the body of a request to the body of its answer."""
