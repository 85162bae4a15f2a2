"""A graph as what an untrained network tells."""

from __future__ import annotations

from functools import lru_cache

from ..record.untrained import Untrained
from .features import features
from .function import function_digest
from .graph import OperationGraph
from .simplify import simplified


def told_by(graph: OperationGraph) -> Untrained:
    """The structure and the function of a network. Graphs of one simplified form are looked at once."""
    return _told(simplified(graph))


@lru_cache(maxsize=16384)
def _told(graph: OperationGraph) -> Untrained:
    return Untrained(structure=features(graph), function=function_digest(graph))
