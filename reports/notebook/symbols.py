"""Marks of a plot as SVG, under the names that Plotly has for them."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi, sin

_CORNERS: Mapping[str, tuple[int, float]] = {
    "square": (4, 45),
    "diamond": (4, 0),
    "pentagon": (5, 0),
    "hexagon": (6, 0),
    "triangle-up": (3, 0),
    "triangle-right": (3, 90),
    "triangle-down": (3, 180),
    "triangle-left": (3, 270),
}
"""Of each, how many corners and how far it is turned, in degrees from a corner on top."""
_CROSS = (
    (-1, -0.4), (-0.4, -0.4), (-0.4, -1), (0.4, -1), (0.4, -0.4), (1, -0.4),
    (1, 0.4), (0.4, 0.4), (0.4, 1), (-0.4, 1), (-0.4, 0.4), (-1, 0.4),
)  # fmt: skip
_INNER = 0.45
"""Of a star, its inner corners' share of the outer ones' distance."""


def mark(symbol: str, x: float, y: float, diameter: float, style: str) -> str:
    """One mark around a point. `style` has the attributes of its element."""
    radius = diameter / 2
    if symbol == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" {style}/>'
    corners = " ".join(f"{x + radius * dx:.1f},{y + radius * dy:.1f}" for dx, dy in _corners(symbol))
    return f'<polygon points="{corners}" {style}/>'


def _corners(symbol: str) -> list[tuple[float, float]]:
    if symbol == "cross":
        return list(_CROSS)
    if symbol in _CORNERS:
        count, turned = _CORNERS[symbol]
        return [_at(turned + 360 * i / count, 1.0) for i in range(count)]
    return [_at(36 * i, _INNER if i % 2 else 1.0) for i in range(10)]


def _at(degrees: float, distance: float) -> tuple[float, float]:
    angle = degrees * pi / 180
    return distance * sin(angle), -distance * cos(angle)
