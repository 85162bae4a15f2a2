"""Nodes that a runtime runs otherwise than was meant, without a word: what the answer has to say of them."""

from __future__ import annotations

from dataclasses import dataclass

from ..record.evaluation import StudyRecord
from ..record.placed import Placed, PlacedNode
from .known import trial_of
from .sentences import name_of

TRIFLING = 0.02
"""Of the time that all nodes take: what falls back in less of it is not worth a warning."""
_MOST_KINDS = 3


def placed_of(record: StudyRecord, number: int) -> Placed | None:
    """Where the nodes of a trial run: as it was asked of the finalist, else of the candidate."""
    asked = [one.deployed.placed for one in record.finalists if one.number == number]
    return next(filter(None, (*asked, trial_of(record, number).evaluation.deployed.placed)), None)


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """So many nodes of one operator that one place runs otherwise than meant for one reason, the `first` of
    them, and the share of the time that they take together (None: not timed)."""

    count: int
    first: PlacedNode
    share_of_time: float | None


def fallbacks(placed: Placed) -> list[Fallback]:
    """The nodes that are listed as not running as meant, by kinds."""
    found: dict[tuple[str, ...], list[PlacedNode]] = {}
    for node in placed.others:
        found.setdefault((node.op, node.kernel, node.place, node.reason), []).append(node)
    return [
        Fallback(
            count=len(nodes),
            first=nodes[0],
            share_of_time=None
            if placed.share_of_time is None
            else sum(n.share_of_time or 0.0 for n in nodes),
        )
        for nodes in found.values()
    ]


def fallback_warnings(record: StudyRecord, recommended: int | None) -> tuple[str, ...]:
    """That the answer does not run whole as meant, and what of it does not."""
    placed = None if recommended is None else placed_of(record, recommended)
    if recommended is None or placed is None or placed.as_meant == placed.nodes:
        return ()
    time = None if placed.share_of_time is None else 1 - placed.share_of_time
    if time is not None and time < TRIFLING:
        return ()
    taking = "" if time is None else f", {100 * time:.0f} % of the time,"
    kinds = fallbacks(placed)
    said = [f"{one.count} x {one.first.op} ({one.first.reason})" for one in kinds[:_MOST_KINDS]]
    more = f", and {len(kinds) - _MOST_KINDS} more kinds" if len(kinds) > _MOST_KINDS else ""
    return (
        f"{name_of(record, recommended)} does not run whole as it was meant to: "
        f"{placed.nodes - placed.as_meant} of {placed.nodes} nodes{taking} do not: {', '.join(said)}{more}.",
    )
