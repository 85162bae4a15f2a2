"""A graph as what an untrained network tells."""

from __future__ import annotations

import hashlib

from ..record.untrained import Untrained
from .features import features
from .function import function_digest
from .graph import OperationGraph
from .simplify import simplified


def told_by(graph: OperationGraph, beside: str = "") -> Untrained:
    """The structure and the function of a network. `beside` is what else decides what its training gives."""
    return told_by_simplified(simplified(graph), beside)


def told_by_simplified(graph: OperationGraph, beside: str = "") -> Untrained:
    """The same of a graph that is simplified already."""
    function = function_digest(graph)
    if function and beside:
        function = hashlib.blake2b(f"{function} {beside}".encode(), digest_size=16).hexdigest()
    found = features(graph)
    return Untrained(structure=found, function=function, constant=found["paths"] == 0)
