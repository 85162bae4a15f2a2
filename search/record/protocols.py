"""What the driver and the samplers need from whatever evaluates candidates: real models, or a table.

Everything here is free of torch and of any runtime, so that a recorded table can stand in for a device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .candidate import Candidate
from .deployed import NOTHING_ASKED, Deployed
from .evaluation import Bound, Evaluation, Finalist, Limit, Quantity, StudyRecord, Watched
from .timing import Timing
from .untrained import UNTOLD, Untrained
from .where import Where


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What a candidate costs on the device, measured with untrained weights.

    `refused` says why it cannot exist there (then `metrics` is empty). `doubt` says why the weights may
    matter to these numbers all the same; the gate does not decide where it is not empty. `stability`,
    `watched`, `where` and `deployed` are those of `Evaluation`. `untrained` is what the network told
    meanwhile.
    """

    metrics: Mapping[str, Quantity] = field(default_factory=dict)
    stability: str = ""
    refused: str = ""
    doubt: str = ""
    watched: Watched | None = None
    deployed: Deployed = NOTHING_ASKED
    untrained: Untrained = UNTOLD
    where: Where | None = None

    @property
    def told(self) -> dict[str, Any]:
        """What an evaluation keeps of it as it is."""
        return {name: getattr(self, name) for name in ("stability", "watched", "deployed", "where")}


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training that a candidate needs: `key` names its result, `kind` is "distill" or "prune".

    `work` is in multiply-adds (epochs x samples x multiply-adds for one sample) where the structure was
    counted already, else None. `done`: the result is in the store. `quality` is then the quality on
    validation in PyTorch, `seconds` what the training took, and `curve` its learning curve.
    """

    key: str
    kind: str
    work: float | None = None
    done: bool = False
    quality: float | None = None
    seconds: float | None = None
    curve: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """A point in a training at which it may be given up or paused. `epochs` is the training's whole length;
    `curve` has (epochs done, quality on validation in PyTorch) up to now, this milestone's the last; `pace`
    are the seconds that an epoch takes at the least (None: none was trained since it was taken up)."""

    key: str
    kind: str
    epochs: int
    curve: tuple[tuple[int, float], ...]
    pace: float | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Why a candidate is not worth training (further). `pause`: it may be worth it later, and its training
    then goes on where it stands. `late`: it would not end in time, which says nothing of its worth."""

    reason: str
    bound: Bound | None = None
    pause: bool = False
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Standard:
    """What the reference settles once it was measured: its latency, which scales what is measured against it
    (None before that), and the limits, whose bounds may depend on it."""

    reference_ms: float | None = None
    limits: tuple[Limit, ...] = ()


class Judge(Protocol):
    """Decides which candidates are worth training, from what is known when it is asked."""

    @property
    def standard(self) -> Standard:
        """What it judges by."""

    def before_tuning(self, candidate: Candidate) -> Decision | None:
        """None: tune it. Asked of candidates whose backend has to be tuned, before anything is measured."""

    @property
    def measures_first(self) -> bool:
        """Whether it is worth measuring candidates before they are trained."""

    def before_training(self, candidate: Candidate, hardware: Hardware) -> Decision | None:
        """None: train it."""

    def at_milestone(self, candidate: Candidate, milestone: Milestone) -> Decision | None:
        """None: go on training."""

    def worth_climbing(
        self, candidate: Candidate, metrics: Mapping[str, Quantity], best_quality: float
    ) -> bool:
        """Whether the candidate could still matter with these metrics, were its quality `best_quality`."""


@dataclass
class TrainEverything:
    """A judge that never says no: for comparisons without a gate, and for audits."""

    standard: Standard = Standard()
    measures_first: bool = True

    def before_tuning(self, candidate: Candidate) -> Decision | None:
        return None

    def before_training(self, candidate: Candidate, hardware: Hardware) -> Decision | None:
        return None

    def at_milestone(self, candidate: Candidate, milestone: Milestone) -> Decision | None:
        return None

    def worth_climbing(
        self, candidate: Candidate, metrics: Mapping[str, Quantity], best_quality: float
    ) -> bool:
        return True


class NeededTrainings(Protocol):
    """Tells which trainings candidates need; trains nothing."""

    def trains(self, candidate: Candidate) -> bool:
        """Whether the candidate needs training beyond the teacher's own."""

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """The trainings that it needs, in order, with those that are done."""

    def untrained(self, candidate: Candidate) -> Untrained:
        """What its network tells before any training, as far as it is known or told at once. Asked of many
        candidates; what takes longer comes with a measurement (`Hardware.untrained`)."""


class CandidateEvaluator(Protocol):
    """Evaluates candidates one at a time."""

    def prepare_reference(self, candidate: Candidate) -> Timing | None:
        """Make ready the model that every measurement is taken against; returns what an A/A of it tells,
        where something is really timed."""

    def hardware(self, candidate: Candidate, standard: Standard) -> Hardware:
        """What the candidate costs on the device, with untrained weights. Answered from what was measured
        for another candidate where that leads to the same structure at the same precision.

        Raises:
            StageError: it crashed or hung.
        """

    def evaluate(self, candidate: Candidate, judge: Judge, *, baseline: bool = False) -> Evaluation:
        """All that can be known of one candidate; `judge` decides whether it is worth training. Crashes of
        its stages end as `failed`, never raise.

        Raises:
            Interrupted: a stop was asked for; stages that ended are kept in the store.
            UserError: something that concerns the whole study (a full disk, the user's own code).
        """

    def test_score(self, evaluation: Evaluation) -> Quantity:
        """Quality of a complete candidate's artifact on the test split."""

    def finalists(
        self, record: StudyRecord, numbers: tuple[int, ...], *, rounds: int, seed: int
    ) -> tuple[Finalist, ...]:
        """Score these trials on test, and measure them against each other in the same rounds."""


MilestoneJudge = Callable[[Milestone], Decision | None]
"""What a training loop asks at its milestones."""


GUESS_RATE = 1e10
"""Multiply-adds per second (forward) of training on a processor, before anything was seen."""
