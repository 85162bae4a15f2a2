"""What a check of something that was shipped or run has found: the word of `verify`, `recheck`, `regress`,
`nightly` and `monitor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pydantic import TypeAdapter

from ...profiles.quantity import Quantity


class CheckOutcome(str, Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"  # out of the band, beyond what noise explains
    WARNING = "warning"  # moved beyond what noise explains, by less than what counts: worth a look
    INCONCLUSIVE = "inconclusive"  # not failed, but an effect that counts could have stayed unseen
    NOTED = "noted"  # told and not judged: it says nothing about what was checked, or nothing is promised
    SKIPPED = "skipped"  # not possible here; `reason` says why


class Scale(str, Enum):
    """How a change is told."""

    RATIO = "ratio"  # found / expected; 1 is no change
    DIFFERENCE = "difference"  # found - expected, in the metric's unit; 0 is no change
    COUNT = "count"  # of what should not be there at all (flipped decisions, damaged files)


@dataclass(frozen=True, kw_only=True)
class MetricCheck:
    """One question with its answer.

    `subject` is what was checked ("trial 12", "the bundle", "the reference"), `metric` a name of
    `record.metrics` or one of `CHECKS`. `expected` is what was recorded, `found` what is so now, `change`
    their difference on `scale`, with its interval. `tolerated` is the change towards worse that passes, on
    the same scale with its sign (3 % of latency is 1.03, 0.2 points of accuracy -0.002), `detectable` the
    smallest change beyond it that this check would have found in 95 of 100 cases (None: not known).
    `p_value` is that of "no worse than tolerated", after correction for the number of checks. `reason` says
    in some words why it was skipped, failed or could not tell.
    """

    subject: str
    metric: str
    outcome: CheckOutcome
    expected: Quantity | None = None
    found: Quantity | None = None
    change: Quantity | None = None
    scale: Scale = Scale.DIFFERENCE
    tolerated: float | None = None
    detectable: float | None = None
    p_value: float | None = None
    reason: str = ""


FILES, VERSIONS, VERDICT, OUTPUTS, DECISIONS, INPUTS, PREDICTIONS, RANGE, WORST_CLASS = (
    "files",  # each is that which was written, by its hash
    "versions",  # of the runtime, those that it was checked with
    "verdict",  # of a study, by its limits
    "outputs",  # largest difference of the artifact's outputs, in standard deviations of the recorded ones
    "decisions",  # share of samples whose decision flipped
    "inputs",  # shift of what is asked in the field, as a population stability index
    "predictions",  # shift of what is answered there, likewise
    "range",  # share of samples far out of what was seen before, or without a finite number
    "worst_class",  # quality of the class that is answered worst
)
CHECKS: Mapping[str, str] = {
    FILES: "Files",
    VERSIONS: "Versions",
    VERDICT: "Verdict",
    OUTPUTS: "Outputs",
    DECISIONS: "Decisions",
    INPUTS: "Inputs",
    PREDICTIONS: "Predictions",
    RANGE: "Range",
    WORST_CLASS: "Worst class",
}
"""What is checked beside metrics, with its title."""


class NextStep(str, Enum):
    """What to do after a check."""

    KEEP = "keep"  # as it is
    RECOMPILE = "recompile"  # the same weights, by the runtime that is there now
    PIN = "pin"  # the runtime to the version that it was made and checked with
    LOOK = "look"  # a person has to: no step is known to help


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to do with `subject`, and why in some words."""

    subject: str
    step: NextStep
    reason: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """All checks of one thing (`of`: a bundle's folder, a run) against another (`against`: its manifest, a
    run, a night). `advice` has what to do, in order; `environment` where it was checked. `in_use`: it was
    recorded in the field, and is told as calm, warning or alarm."""

    of: str
    against: str
    checks: tuple[MetricCheck, ...]
    advice: tuple[Advice, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    in_use: bool = False

    def having(self, outcome: CheckOutcome) -> tuple[MetricCheck, ...]:
        """Those that ended so."""
        return tuple(check for check in self.checks if check.outcome is outcome)

    @property
    def passed(self) -> bool:
        """No check failed."""
        return not self.having(CheckOutcome.FAILED)

    @property
    def exit_code(self) -> int:
        """0, or 2 where something is out of its band."""
        return 0 if self.passed else 2


CHECKED = TypeAdapter(Checked)
