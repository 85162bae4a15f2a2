"""What an evaluation went through: its stages, what the gate decided from, why it was proposed."""

from __future__ import annotations

from dataclasses import dataclass

from ...profiles.quantity import Quantity


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """One stage as this evaluation met it: `cached` means answered from the store, `seconds` spent now.

    `curve` is the learning curve of a training: (epochs done, quality on validation in PyTorch) at each
    milestone.
    """

    name: str
    key: str
    cached: bool
    seconds: float
    curve: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The best quality that a candidate could have, and what that means for it.

    `value` is the bound, with the margin in it; `basis` says what it was derived from. `beaten_by` is the
    trial that is better on every objective even so, None where the bound misses a limit on the quality.
    """

    value: float
    basis: str
    beaten_by: int | None = None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Why the sampler proposed a candidate, and what it expected.

    `by` is "gain" (expected gain per expected second), "random", "start" (the first designs) or the name of
    an Optuna sampler. `quality` is what the accuracy model predicted, with its 95 % interval; `gain` the
    expected growth of the hypervolume as a share of what it was; `seconds` the expected cost; `beside` how
    many others were being evaluated.
    """

    by: str
    quality: Quantity | None = None
    gain: float | None = None
    seconds: float | None = None
    beside: int = 0
