"""Where the nodes of an artifact run, short enough for a record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter

MOST_NOT_AS_MEANT, MOST_SLOWEST, MOST_GROUPS = 40, 10, 40


@dataclass(frozen=True, kw_only=True)
class PlacedNode:
    """One node: its operator, the kernel that computes it, who has it, whether it was meant so, and if not,
    why. `share_of_time` is None where the runtime times no nodes."""

    name: str
    op: str
    kernel: str
    place: str
    intended: bool
    reason: str = ""
    share_of_time: float | None = None


@dataclass(frozen=True, kw_only=True)
class PlacedGroup:
    """So many nodes that one kernel computes in one place."""

    kernel: str
    place: str
    intended: bool
    nodes: int
    share_of_time: float | None = None


@dataclass(frozen=True, kw_only=True)
class Placed:
    """`nodes` is the number of all nodes that the runtime executes, `as_meant` that of those that run where
    and as they were meant to, which `intended` says in words, and `share_of_time` what these take.

    `others` are those that do not, the slowest or first of them, and `slowest` those that take most, each
    where the runtime tells; `groups` has all nodes by kernel, the largest first. What is not listed is
    counted.
    """

    intended: str
    nodes: int
    as_meant: int
    share_of_time: float | None = None
    others: tuple[PlacedNode, ...] = ()
    slowest: tuple[PlacedNode, ...] = ()
    groups: tuple[PlacedGroup, ...] = ()

    @property
    def share_of_nodes(self) -> float:
        """The metric `delegated`."""
        return self.as_meant / self.nodes if self.nodes else 1.0

    @property
    def unlisted(self) -> int:
        """How many nodes that do not run as meant are not among `others`."""
        return self.nodes - self.as_meant - len(self.others)


PLACED = TypeAdapter(Placed)


def placed(intended: str, nodes: Iterable[PlacedNode]) -> Placed:
    """All nodes of an artifact, in their order, as a record keeps them."""
    told = tuple(nodes)
    rest = [node for node in told if not node.intended]
    shares = [node.share_of_time for node in told]
    timed = bool(shares) and None not in shares
    return Placed(
        intended=intended,
        nodes=len(told),
        as_meant=len(told) - len(rest),
        share_of_time=max(0.0, 1.0 - sum(map(_share, rest))) if timed else None,
        others=tuple(sorted(rest, key=_share, reverse=True)[:MOST_NOT_AS_MEANT]),
        slowest=tuple(sorted(told, key=_share, reverse=True)[:MOST_SLOWEST]) if timed else (),
        groups=_groups(told, timed),
    )


def _groups(nodes: tuple[PlacedNode, ...], timed: bool) -> tuple[PlacedGroup, ...]:
    found: dict[tuple[str, str, bool], list[float]] = {}
    for node in nodes:
        found.setdefault((node.kernel, node.place, node.intended), []).append(_share(node))
    groups = (
        PlacedGroup(
            kernel=kernel,
            place=place,
            intended=intended,
            nodes=len(shares),
            share_of_time=min(1.0, sum(shares)) if timed else None,
        )
        for (kernel, place, intended), shares in found.items()
    )
    return tuple(sorted(groups, key=lambda one: (-(one.share_of_time or 0.0), -one.nodes))[:MOST_GROUPS])


def _share(node: PlacedNode) -> float:
    return node.share_of_time or 0.0
