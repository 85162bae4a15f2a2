"""What each workload is to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.compression.measure import Row


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Of the teacher as fp32 in ONNX Runtime: it is to be so many times smaller and faster, and what accuracy
    may cost: points (`drop_points`), or what must be left as a share of the teacher's (`kept_share`)."""

    smaller: float
    faster: float
    drop_points: float = 0.0
    kept_share: float | None = None

    def least_accuracy(self, teacher: float) -> float:
        """The least accuracy that is allowed, for the teacher's on the same samples."""
        return teacher * self.kept_share if self.kept_share else teacher - self.drop_points / 100


GOALS = {
    "digits": Goal(smaller=80, faster=18, drop_points=0.5),
    "trec": Goal(smaller=15, faster=9, kept_share=0.98),
    "spoken_digits": Goal(smaller=15, faster=6, kept_share=0.99),
}
WON_BACK = 0.5  # of what plain 4-bit weights lose, where that is more than a point
WORTH_WINNING = 1.0
TRIFLE = 1e-6  # points: 85 % less 84 % is a little more than one in floating-point numbers
FOUR_BIT = (
    "training with fake quantization wins back half of what plain 4-bit weights lose, where above 1 point"
)


def judged(
    goal: Goal,
    ours: Row,
    teacher_alone: Sequence[Row],
    teacher: Mapping[str, float],
    four_bit: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Each goal with what was asked, what was found and whether it is met."""
    least = goal.least_accuracy(teacher["accuracy"])
    return [
        _at_most("size", goal.smaller, ours.size_ratio),
        _at_most("latency", goal.faster, ours.latency_ratio),
        _goal(
            f"accuracy at least {100 * least:.2f} %", f"{100 * ours.accuracy:.2f} %", ours.accuracy >= least
        ),
        _beats(ours, teacher_alone, least),
        _won_back(four_bit),
    ]


def _goal(goal: str, found: str, met: bool) -> dict[str, Any]:
    return {"goal": goal, "found": found, "met": bool(met)}


def _at_most(what: str, times: float, ratio: float) -> dict[str, Any]:
    return _goal(f"{what} at most 1/{times:.3g}", f"1/{1 / ratio:.3g}", ratio <= 1 / times)


def _beats(ours: Row, teacher_alone: Sequence[Row], least: float) -> dict[str, Any]:
    """Smaller and faster than every form of the teacher alone that is accurate enough."""
    rivals = [row for row in teacher_alone if row.accuracy >= least]
    if not rivals:
        return _goal("smaller and faster than the teacher quantized alone", "none is accurate enough", True)
    small, fast = min(r.size_ratio for r in rivals), min(r.latency_ratio for r in rivals)
    return _goal(
        "smaller and faster than the teacher quantized alone, where that is accurate enough",
        f"its smallest is 1/{1 / small:.3g}, its fastest 1/{1 / fast:.3g}",
        ours.size_ratio < small and ours.latency_ratio < fast and ours.accuracy >= least,
    )


def _won_back(four_bit: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over all models together, so that one lucky model does not decide."""
    losers = [row for row in four_bit if row["lost_points"] > WORTH_WINNING + TRIFLE]
    if not losers:
        return _goal(FOUR_BIT, "no model loses more than a point, so there is nothing to win back", True)
    lost, won = (sum(row[name] for row in losers) for name in ("lost_points", "won_points"))
    each = ", ".join(f"{row['won_points']:.1f} of {row['lost_points']:.1f}" for row in losers)
    return _goal(FOUR_BIT, f"{100 * won / lost:.0f} % ({each} points)", won >= WON_BACK * lost)
