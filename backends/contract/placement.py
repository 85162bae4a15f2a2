"""Where the nodes of a model run: by which kernel or delegate, and why not by the one that was meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

UNSAID = "the runtime does not say why"
"""The reason where neither the runtime tells one nor facts prove one."""


@dataclass(frozen=True, kw_only=True)
class NodePlacement:
    """One node as the runtime runs it: `op` is its operator, `kernel` what computes it, `place` who has it (a
    delegate, an execution provider, a device).

    `intended`: it runs where and as the file asks for on this runtime; where not, `reason` says why.
    `share_of_time` is None where the runtime times no nodes.
    """

    name: str
    op: str
    kernel: str
    place: str
    intended: bool
    reason: str = ""
    share_of_time: float | None = None


@dataclass(frozen=True, kw_only=True)
class ModelPlacement:
    """All nodes that the runtime executes, each once, in their order. `intended` says in words what was meant
    for them."""

    intended: str
    nodes: tuple[NodePlacement, ...]

    @property
    def share_of_nodes(self) -> float:
        """The share of the nodes that run as intended; 1 where there are none."""
        return sum(node.intended for node in self.nodes) / len(self.nodes) if self.nodes else 1.0

    @property
    def share_of_time(self) -> float | None:
        """The share of the time that nodes take which run as intended."""
        shares = [(node.share_of_time, node.intended) for node in self.nodes]
        if not shares or any(share is None for share, _ in shares):
            return None
        return max(0.0, 1.0 - sum(share or 0.0 for share, intended in shares if not intended))


def shares_of_time(times: Sequence[float]) -> list[float | None]:
    """Times of nodes as shares of all of them; None where none was seen to take any."""
    whole = sum(times)
    return [time / whole for time in times] if whole > 0 else [None] * len(times)
