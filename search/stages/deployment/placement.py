"""Where an artifact runs: which kernel or delegate has each node, and why not the one that was meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ....backends.contract.placement import NodePlacement
from ....backends.registry import get_backend
from ....backends.runner.client import RunnerClient
from ....backends.runner.placing import OPERATION, placement
from ...record.deployed import Deployed
from ...record.evaluation import Quantity
from ...record.metrics import DELEGATED
from ...record.placed import PLACED, PlacedNode, placed
from ..device.stages import DeviceStages
from .further import Subject, Told

STAGE = "placement"
_VERSION, _SECONDS = 1, 120.0
_HOW = "share of the {nodes} nodes that the runtime runs, each meant for {intended}"


class PlacementQuestion:
    """Structure alone decides the answer: it holds for untrained weights, and nothing is trained for it."""

    metrics = frozenset({DELEGATED})

    def told(self, subject: Subject, device: DeviceStages) -> Told:
        """The share of nodes that run as meant, and the nodes."""
        entry = device.apart.asked(
            STAGE, _VERSION, subject.compiled, subject.backend, {}, _asked, subject.setting
        )
        if entry.meta["placed"] is None:
            title = get_backend(subject.backend).title or subject.backend
            untold = {DELEGATED: f"{title} does not tell which kernels run"}
            return Told(deployed=Deployed(untold=untold), entries=(entry,))
        found = PLACED.validate_python(entry.meta["placed"])
        share = found.share_of_nodes
        how = _HOW.format(nodes=found.nodes, intended=found.intended)
        quantity = Quantity(value=share, low=share, high=share, how=how)
        return Told(metrics={DELEGATED: quantity}, deployed=Deployed(placed=found), entries=(entry,))


def _asked(runner: RunnerClient) -> Mapping[str, Any]:
    found = placement(runner.ask(OPERATION, _SECONDS))
    if found is None:
        return {"placed": None}
    return {"placed": PLACED.dump_python(placed(found.intended, map(_kept, found.nodes)), mode="json")}


def _kept(node: NodePlacement) -> PlacedNode:
    return PlacedNode(**asdict(node))
