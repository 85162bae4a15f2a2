"""All that is known of one candidate, and of a whole study: plain values that survive as JSON.

The driver writes them with the trials of an ordinary Optuna study; reports read nothing else but these and
the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import SerializerFunctionWrapHandler, TypeAdapter, model_serializer

from ...profiles.quantity import Quantity as Quantity  # a word of records too
from ...profiles.watched import Watched as Watched  # as well
from .agreement import Agreement
from .candidate import Candidate
from .deployed import NOTHING_ASKED, Deployed
from .estimated import Estimated
from .steps import Bound as Bound  # words of records too, as those below
from .steps import Proposal as Proposal
from .steps import StageRecord as StageRecord
from .timing import Timing
from .treatment import UNTREATED, LadderRung, Treatment
from .tuned import Tuned
from .untrained import UNTOLD, Untrained
from .where import Where

WHERE_KNOWN = {"written": "where it is not None"}
"""Metadata of a field that stands in no JSON where it is None."""
_ABOUT_TEACHER = "about the teacher: "  # once began a note of an evaluation, in the place of a field


class Outcome(str, Enum):
    """How an evaluation ended."""

    COMPLETE = "complete"
    GATED = "gated"  # measured, but over a limit or certain to be dominated: not trained, or not to the end
    REFUSED = "refused"  # cannot exist on this runtime or device
    FAILED = "failed"  # a stage crashed, hung, ran out of memory or raised


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One candidate's evaluation.

    `metrics` maps names of `record.metrics` to quantities. `gate` holds what was measured with untrained
    weights. `violations` maps a limit's text to how far it is missed, in the metric's unit (<= 0: met).
    `reason` explains `gated` and `refused`; `stage`, `cause` and `log` explain `failed`, and `try_again` says
    that it tells nothing about the candidate (its process was killed, its record was lost), so that the next
    run tries it again. `artifact_key` names
    the compiled model in the store (stage "compile"), `weight_bytes` its constants by storage type, `notes`
    what the compiler had to say, `about_teacher` what trainings found out about the teacher. `baseline` marks
    the uncompressed teacher's simple choices. `bound` stands where the gate decided from a bound on the
    quality. `stopped_epoch` is the epoch after which training was given up (0: it was not), `paused` that the
    study may still go on with it, `late` that only time was wanting for its end. `ladder` holds
    the rungs that were climbed to win back what quantization lost, in order, `treatment` what they changed;
    `float_quality` is the quality of the same weights in PyTorch. `stored_as` maps each layer with weights to
    the storage type it has in the artifact, `zero_share` is the share of zeros among the weights as stored
    there (None: not counted). `tuning` is what tuning took and brought, where the backend has to be tuned.
    `agreement` is how the device's outputs compare with those of the same file here (None: it is this
    machine, or that was not asked), `watched` how it was meanwhile, `deployed` what else deployment asks.
    `untrained` is what its network told before any training, `where` on which worker and device that was
    (None: there is but one of each; it is written where it is known alone).
    """

    candidate: Candidate
    outcome: Outcome
    metrics: dict[str, Quantity] = field(default_factory=dict)
    gate: dict[str, Quantity] = field(default_factory=dict)
    violations: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    stage: str = ""
    cause: str = ""
    log: str = ""
    try_again: bool = False
    disagrees: bool = False
    stages: tuple[StageRecord, ...] = ()
    artifact_key: str = ""
    weight_bytes: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    about_teacher: tuple[str, ...] = ()
    stability: str = ""  # verdict of the latency protocol: "stable" or "noisy because ..."
    baseline: bool = False
    bound: Bound | None = None
    stopped_epoch: int = 0
    paused: bool = False
    late: bool = False
    proposal: Proposal | None = None
    ladder: tuple[LadderRung, ...] = ()
    treatment: Treatment = UNTREATED
    float_quality: float | None = None
    stored_as: dict[str, str] = field(default_factory=dict)
    zero_share: float | None = None
    tuning: Tuned | None = None
    agreement: Agreement | None = None
    watched: Watched | None = None
    deployed: Deployed = NOTHING_ASKED
    untrained: Untrained = UNTOLD
    where: Where | None = field(default=None, metadata=WHERE_KNOWN)

    def __post_init__(self) -> None:
        said = tuple(note for note in self.notes if note.startswith(_ABOUT_TEACHER))
        if said:
            object.__setattr__(self, "notes", tuple(note for note in self.notes if note not in said))
            remarks = (note.removeprefix(_ABOUT_TEACHER) for note in said)
            object.__setattr__(self, "about_teacher", (*self.about_teacher, *remarks))

    @model_serializer(mode="wrap")
    def _known(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = written(self)
        if self.where is None:
            del found["where"]
        return found

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, with those about the teacher marked as such."""
        return (*self.notes, *(_ABOUT_TEACHER + remark for remark in self.about_teacher))

    @property
    def feasible(self) -> bool:
        """Complete, and every constraint met."""
        return self.outcome is Outcome.COMPLETE and met(self.violations)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """An evaluation with its trial number, time stamps (seconds since the epoch) and duration in seconds.

    `duplicate_of` is the number of the trial that answered it, if it was answered from the record.
    """

    number: int
    evaluation: Evaluation
    started: float
    seconds: float
    duplicate_of: int | None = None

    def ended(self, outcome: Outcome) -> bool:
        """Whether it ended so by itself, and not by repeating another trial."""
        return self.duplicate_of is None and self.evaluation.outcome is outcome


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A trial near the front, scored on `test` and measured again interleaved with the other finalists.

    `metrics` holds the quality metric on the test split and the fresh latency metrics; size and memory are
    those of the trial. `ratio_to_baseline` is the latency ratio against the strongest simple choice, taken
    in the same rounds (below 1 is faster). `side_effects` holds what compression did beside the quality
    metric, each against the teacher, on the test split. `distillation_gain` is the
    quality on validation of the student's training minus that of the same training without the teacher,
    `draw_effect` how far the artifact's quality moves between draws of calibration samples. `failed` says why
    there are no numbers, and `agreement` what the device computes from it where that is why; `shortened` says
    what of the check was less than the study file asks for, `watched` how the device was meanwhile,
    `deployed` what else deployment asks. `samples` names what the store keeps of a few samples of test with
    its outputs (stage "samples"; empty: nothing).
    """

    number: int
    metrics: dict[str, Quantity]
    ratio_to_baseline: Quantity | None = None
    side_effects: dict[str, Quantity] = field(default_factory=dict)
    distillation_gain: Quantity | None = None
    draw_effect: Quantity | None = None
    failed: str = ""
    agreement: Agreement | None = None
    shortened: str = ""
    watched: Watched | None = None
    deployed: Deployed = NOTHING_ASKED
    samples: str = ""


@dataclass(frozen=True, kw_only=True)
class Audited:
    """A gated trial that was trained after all, to see whether the gate was right.

    `on_front`: it would have been on the front of the study, so the gate was wrong.
    """

    number: int
    evaluation: Evaluation
    on_front: bool


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric that the search improves; `weight` is the user's, used only to rank the front."""

    metric: str
    higher_is_better: bool
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A resolved constraint: `metric <= bound` or `metric >= bound`, with the text the user wrote.

    `bound_on_test` replaces `bound` for a quality on the test split where the limit is relative to the
    teacher, whose quality differs between splits; None where the bound is the same.
    """

    text: str
    metric: str
    upper: bool
    bound: float
    bound_on_test: float | None = None

    @property
    def relative(self) -> bool:
        """Whether the bound comes from the teacher's own value, so that the text does not tell it."""
        return "teacher" in self.text

    def violation(self, value: float) -> float:
        """How far the limit is missed, in the metric's unit; 0 or less where it is met."""
        return value - self.bound if self.upper else self.bound - value


def met(violations: Mapping[str, float]) -> bool:
    """Whether no limit is missed."""
    return all(violation <= 0 for violation in violations.values())


EVERY_BACKEND = "every backend"
"""In the place of a backend's name: what is masked lies in the model."""


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A combination that the space does not offer, and why."""

    backend: str
    what: str  # a precision, a sparsity, a value of a student's axis, or "all"
    reason: str


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """A study as reports see it.

    `quality` is the name of the workload's metric. `counters` has "trainings" (students really trained),
    "training_seconds", "gated_before_training", "duplicates" and the like. `environment` holds processor,
    instruction sets, packages. `teacher` has the teacher's quality on the splits and its parameters.
    `stopped` says why the search ended. `baseline` is the trial number of the strongest simple choice,
    `untried` has the titles of the simple choices that were not evaluated.
    `sampler` is the name of the sampler, `remarks` what it had to say (a fallback, a warm start). `audit`
    holds the gated candidates that were trained after all. `reference_on_test` is the quality of the
    uncompressed teacher's artifact on the test split. `timing` says how sharply latencies can be told apart
    on the device (None: the study was begun before that was kept). `budget_trials` and `budget_seconds` are
    what the search was given (None: no limit, or not known). `unconfirmed` are the finalists that failed when
    they were scored on test or measured again: their numbers are those of the search.
    `ended` is when search and finalists came to their end (ISO 8601; empty: they have not, or before that
    was kept). `retargets` is the study whose models this one has, trained for another device.
    `host` describes the machine that trained and compiled, where that is not the device. `estimated`: there
    was no device, and what its numbers rest on (None: they were measured).
    """

    name: str
    study_text: str
    workload: str
    profile: str
    quality: str
    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...]
    trials: tuple[TrialRecord, ...]
    finalists: tuple[Finalist, ...] = ()
    baseline: int | None = None
    untried: tuple[str, ...] = ()
    masked: tuple[Masked, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    teacher: dict[str, Any] = field(default_factory=dict)
    importances: dict[str, dict[str, float]] = field(default_factory=dict)  # metric -> axis -> share
    stopped: str = ""
    store: str = ""  # path of the content-addressed store
    sampler: str = ""
    remarks: tuple[str, ...] = ()
    audit: tuple[Audited, ...] = ()
    reference_on_test: Quantity | None = None
    timing: Timing | None = None
    budget_trials: int | None = None
    budget_seconds: float | None = None
    unconfirmed: tuple[Finalist, ...] = ()
    ended: str = ""
    retargets: str = ""
    host: dict[str, Any] = field(default_factory=dict)
    estimated: Estimated | None = None


EVALUATION = TypeAdapter(Evaluation)
STUDY_RECORD = TypeAdapter(StudyRecord)
