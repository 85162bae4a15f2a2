"""What the rungs of the ladder share: where a candidate stands, what they can try on it, what they found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from ...backends.contract.backend import LayerGroup
from ..record.candidate import Candidate
from ..record.quality import QualityScale
from ..record.treatment import QatPlan, Treatment


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Quality of an artifact on validation, and how near its outputs are to those of the float model (signal
    to noise in dB; not a number where the float model could not be run)."""

    quality: float
    sqnr_db: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an artifact costs on the device. `latency_noise_ms` is half the interval of its latency."""

    latency_ms: float
    size_bytes: float
    latency_noise_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StageSeconds:
    """What the stages took for this candidate: `epoch` is one of training (None: it cannot be trained), the
    others are one artifact's."""

    compile: float
    score: float
    measure: float
    epoch: float | None = None


class Bench(Protocol):
    """One candidate on which treatments are tried. What was tried before is answered from the store.

    `scale` is the quality's; `total` the number of samples in the calibration split, `validation` of those in
    the validation split; `methods` are the calibration methods that the backend tells apart.
    """

    candidate: Candidate
    scale: QualityScale
    seconds: StageSeconds
    methods: tuple[str, ...]
    total: int
    validation: int

    def now(self) -> float:
        """Seconds of a clock that never goes back."""

    def score(self, treatment: Treatment, first: int = 0) -> Scored:
        """Score the treated artifact on validation, or on its `first` samples (0: all).

        Raises:
            StageError: it cannot be compiled or crashed. UnsupportedError: it cannot exist.
        """

    def cost(self, treatment: Treatment) -> Cost:
        """A short measurement of the treated artifact; raises as `score` does."""

    def float_costs(self) -> dict[str, Cost]:
        """The same of the candidate's model in float formats, by name, as far as the backend has them."""

    def worth(self, cost: Cost, quality: float) -> bool:
        """Whether the candidate would still matter if it cost this and had this quality."""

    def groups(self) -> tuple[LayerGroup, ...]:
        """Groups of layers that can be kept in float; empty where the backend has none."""

    def qat_plan(self, epochs: int) -> QatPlan | None:
        """Quantization-aware training for this candidate, None where there is none."""

    def simulated(self, plan: QatPlan) -> float:
        """The quality that the fake quantizer predicted; the training must have been made by `score`."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a candidate stands: its treatment and what that scored. `best` is the quality of the float model,
    `target` the one at which the climb ends, `deadline` the time (of `Bench.now`) by which it ends anyway.
    `insists`: the rungs that train nothing are tried whatever they promise."""

    treatment: Treatment
    scored: Scored
    best: float
    target: float
    deadline: float
    insists: bool = False

    def lost(self, scale: QualityScale) -> float:
        """What is lost against the float model, as an amount."""
        return max(0.0, scale.goodness(self.best) - scale.goodness(self.scored.quality))

    def reached(self, scale: QualityScale, quality: float) -> bool:
        """Whether this quality is good enough."""
        return scale.goodness(quality) >= scale.goodness(self.target) - scale.slack(self.target)

    def moved(self, treatment: Treatment, scored: Scored) -> Standing:
        """The same climb from another place."""
        return replace(self, treatment=treatment, scored=scored)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best that a rung came to. `kept` false: it is not to be taken over even if its quality is better,
    and `detail` says why. `notes` are sentences for the evaluation."""

    treatment: Treatment
    scored: Scored
    detail: str
    kept: bool = True
    simulated: float | None = None
    notes: tuple[str, ...] = ()


class RungClimber(Protocol):
    """One kind of rung."""

    @property
    def name(self) -> str:
        """One of `treatment.RUNGS`."""

    def seconds(self, bench: Bench, standing: Standing) -> float | None:
        """What it is expected to take; None where it has nothing to try on this candidate."""

    def climb(self, bench: Bench, standing: Standing) -> Found:
        """Try it. It looks at the deadline between two tries; raises as `Bench.score` does."""


def better(scale: QualityScale, one: Scored, other: Scored) -> bool:
    """Whether one artifact is better: by its quality, among equals by how near it is to the float model."""
    ours, theirs = scale.goodness(one.quality), scale.goodness(other.quality)
    return ours > theirs or (ours == theirs and one.sqnr_db > other.sqnr_db)
