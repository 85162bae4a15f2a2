"""The ranges of estimates, drawn beside their points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...search.record.evaluation import Quantity
from .axes import Window


def ranges_across(quantities: Sequence[Quantity], across: Window) -> dict[str, Any]:
    """Bars from the low end of each to its high end, as far as they are drawn; nothing where none is an
    estimate. What was measured has intervals narrower than its point."""
    if not any(quantity.is_estimate for quantity in quantities):
        return {}
    ends = [tuple(map(across.place, quantity.ends)) for quantity in quantities]
    places = [across.place(quantity.value) for quantity in quantities]
    return {
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - place for (_, high), place in zip(ends, places, strict=True)],
            "arrayminus": [place - low for (low, _), place in zip(ends, places, strict=True)],
            "thickness": 1,
            "width": 3,
        }
    }
