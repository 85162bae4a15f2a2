"""Where the nodes of an open session run: told on the device, and read as what it has to be here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contract.backend import Feed, Session
from ..contract.placement import ModelPlacement, NodePlacement
from .reading import Reply, flag, list_of, mapping, maybe, share, text

OPERATION = "placement"
_MOST_NODES, _MOST_TEXT = 20_000, 300


def told(session: Session, feed: Feed) -> Mapping[str, Any]:
    """What the session says; without nodes where it cannot tell, or has too many of them."""
    found = session.placement(feed)
    if found is None or len(found.nodes) > _MOST_NODES:
        return {"known": False, "nodes": []}
    return {"known": True, "intended": str(found.intended), "nodes": [_sent(node) for node in found.nodes]}


def _sent(node: NodePlacement) -> dict[str, Any]:
    """As plain values, whatever a backend of others' took for them."""
    words = {name: _short(str(getattr(node, name))) for name in ("name", "op", "kernel", "place", "reason")}
    share = node.share_of_time
    return {
        **words,
        "intended": bool(node.intended),
        "share_of_time": None if share is None else float(share),
    }


def _short(words: str) -> str:
    return words if len(words) <= _MOST_TEXT else words[: _MOST_TEXT - 3] + "..."


def placement(reply: Reply) -> ModelPlacement | None:
    """The answer to `told`; None where the runtime cannot tell.

    Raises:
        StageError: it is none: fields are missing or mean nothing, or shares of time are none of a whole.
    """
    if not reply.read("known", flag):
        return None
    nodes = reply.read("nodes", list_of(_node))
    if not nodes:
        raise reply.wrong("there are no nodes")
    shares = [node.share_of_time for node in nodes]
    known = [one for one in shares if one is not None]
    if known and (len(known) < len(shares) or abs(sum(known) - 1) > 1e-6):
        raise reply.wrong(
            f"shares of time add up to {sum(known):.6g} over {len(known)} of {len(shares)} nodes"
        )
    return ModelPlacement(intended=reply.read("intended", text), nodes=nodes)


def _node(value: Any, name: str) -> NodePlacement:
    found = mapping(value, name)

    def said(part: str) -> str:
        return text(found.get(part), f"{name}.{part}")

    return NodePlacement(
        name=said("name"),
        op=said("op"),
        kernel=said("kernel"),
        place=said("place"),
        intended=flag(found.get("intended"), f"{name}.intended"),
        reason=said("reason"),
        share_of_time=maybe(share)(found.get("share_of_time"), f"{name}.share_of_time"),
    )
