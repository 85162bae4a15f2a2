"""What a runner answers where it is asked for meters, or for the energy of what it has open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..contract.backend import Feed, Session

if TYPE_CHECKING:
    from .discover import MeterWish


def meters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to "meters": what there is, and what could be but cannot be read."""
    from .discover import look  # as below: a tenth of a runner's start, which hardly any of them needs

    found = look(_wish(body))
    return {
        "meters": [facts.to_json() for facts in found.meters],
        "unreadable": [asdict(one) for one in found.unreadable],
    }


def energy(session: Session, feed: Feed, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to "energy": the windows of the wished meter, or why there are none."""
    from .discover import opened
    from .meter import MeterError
    from .sampling import MeterReader
    from .windows import measured

    if not feed:
        raise ValueError("energy comes after prepare")
    run = session._run
    try:
        meter = opened(_wish(body), tuple(map(str, body["rails"])))
        with MeterReader(meter) as sampler:
            windows = measured(
                sampler,
                lambda: run(feed),
                int(body["windows"]),
                least_s=float(body["least_s"]),
                most_s=float(body["most_s"]),
            )
    except MeterError as error:
        return {"refused": error.reason, "turns": []}
    return {"refused": "", "turns": windows.to_json()}


def _wish(body: Mapping[str, Any]) -> MeterWish:
    from .discover import MeterWish

    told = dict(body["wish"])
    return MeterWish(**{**told, "rails": tuple(map(str, told.get("rails", ())))})
