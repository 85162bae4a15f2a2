"""All operators that something stands for: importing the modules below registers theirs."""

from __future__ import annotations

from . import elementwise, norms, pooling, products, recurrent, reducing, resizing, shaping
from .operators import known_operators

FAMILIES = (elementwise, norms, pooling, products, recurrent, reducing, resizing, shaping)
KNOWN = frozenset(known_operators())
"""Domain and name of each."""
