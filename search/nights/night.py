"""One night of a nightly job, as its history keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pydantic import TypeAdapter

from ...profiles.quantity import Quantity
from ..record.checks import Checked, CheckOutcome, MetricCheck


class NightStatus(str, Enum):
    """How a night ended."""

    GOOD = "good"  # an answer within the limits, and nothing regressed
    REGRESSED = "regressed"  # a check failed
    UNUSABLE = "unusable"  # no candidate meets the limits
    FAILED = "failed"  # an error that needs a person
    SKIPPED = (
        "skipped"  # not possible this night, and nobody's fault: the device is off, another night is at work
    )
    UNFINISHED = "unfinished"  # its time was over first: the next night goes on from there
    STOPPED = "stopped"  # by its user
    KILLED = "killed"  # it ended without a word, which the next night found


EXIT_CODES = {
    NightStatus.GOOD: 0,
    NightStatus.REGRESSED: 2,
    NightStatus.UNUSABLE: 3,
    NightStatus.FAILED: 1,
    NightStatus.SKIPPED: 0,
    NightStatus.UNFINISHED: 0,
    NightStatus.STOPPED: 130,
    NightStatus.KILLED: 1,
}
WITHOUT_ANSWER = frozenset(
    {NightStatus.SKIPPED, NightStatus.UNFINISHED, NightStatus.STOPPED, NightStatus.KILLED}
)
"""Nights that tell nothing of the model."""


class FactKind(str, Enum):
    """What a fact is about."""

    CODE = "code"
    DATA = "data"
    STUDY = "study file"
    VERSIONS = "versions"
    DEVICE = "device"
    STATE = "state"  # differs every night: shown, and no change


@dataclass(frozen=True, kw_only=True)
class NightFact:
    """One thing that may explain why a night's numbers are others. What has the same `value` has not changed;
    `shown` is what a person is told of it (empty: the value)."""

    kind: FactKind
    name: str
    value: str
    shown: str = ""

    @property
    def words(self) -> str:
        """What a person is told."""
        return self.shown or self.value


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night. Its `number` orders it, whatever the clock says; `began` (ISO 8601) is a label.

    `headline` is its verdict in a sentence, `reason` why there is no answer, `log` the last words of what
    failed. `run` is the name of the run's folder, `trial` and `candidate` what it recommends, with `metrics`
    as they are known best. `against` is what it was compared with, `baseline` that night's number.
    `regressed` and `verified` are the checks of what was found and of what is deployed (None: nothing to
    check). `accepted`: its regression was meant, and later nights are compared with it. `in_a_row` counts the
    nights without an answer up to this one; `overdue`: they are too many, and a person has to look.
    `changes` says in sentences what changed since the night that it is compared with.
    """

    number: int
    status: NightStatus
    headline: str
    reason: str = ""
    log: str = ""
    began: str = ""
    seconds: float = 0.0
    study: str = ""
    workload: str = ""
    profile: str = ""
    run: str = ""
    trial: int | None = None
    candidate: str = ""
    quality: str = ""
    metrics: dict[str, Quantity] = field(default_factory=dict)
    facts: tuple[NightFact, ...] = ()
    changes: tuple[str, ...] = ()
    against: str = ""
    baseline: int | None = None
    verified: Checked | None = None
    regressed: Checked | None = None
    accepted: bool = False
    in_a_row: int = 0
    overdue: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 fine or nobody's fault, 2 a regression and only then, 3 nothing usable, 1 a person has to look,
        130 stopped by its user."""
        return 1 if self.overdue else EXIT_CODES[self.status]

    @property
    def checks(self) -> tuple[MetricCheck, ...]:
        """All its checks: what is deployed first."""
        return tuple(check for found in (self.verified, self.regressed) if found for check in found.checks)

    def having(self, outcome: CheckOutcome) -> tuple[MetricCheck, ...]:
        """The checks that ended so."""
        return tuple(check for check in self.checks if check.outcome is outcome)


NIGHT = TypeAdapter(Night)
