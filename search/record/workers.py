"""What a driver needs of workers that evaluate candidates for it, whatever brings the tasks to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from .candidate import Candidate
from .evaluation import Evaluation
from .protocols import Hardware, Judge


@dataclass(frozen=True, kw_only=True)
class WorkerTask:
    """One piece of work: a candidate to be evaluated, or with `measure` only to be measured with untrained
    weights. `number` is unique within a session; of an evaluation it is the trial's. `device` names the one
    of a pool on which it is measured; empty where there is only one. `known` is what was measured of it, or
    of another of its hardware class, before."""

    number: int
    candidate: Candidate
    measure: bool = False
    baseline: bool = False
    device: str = ""
    known: Hardware | None = None


@dataclass(frozen=True, kw_only=True)
class WorkerResult:
    """What came of a task: an evaluation or a measurement; or why it was `stopped` before its end, or the
    `error` that ends the study. It took so many `seconds` on `worker`, and as many `waited` of them until a
    device was free; of a measurement `stages` has the seconds of each stage that was done for it."""

    task: WorkerTask
    worker: str = ""
    seconds: float = 0.0
    waited: float = 0.0
    stages: Mapping[str, float] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    hardware: Hardware | None = None
    stopped: str = ""
    error: Exception | None = None


class Workers(Protocol):
    """Workers that take one task each at a time."""

    @property
    def count(self) -> int:
        """How many tasks can be worked on at once, as it is now."""

    def submit(self, task: WorkerTask, judge: Judge) -> None:
        """Have a task done, as soon as a worker is free. What `judge` decides by is handed over."""

    def wait(self, judge: Judge) -> WorkerResult | None:
        """Wait until a task has ended; None where something else has happened, a stop that was asked for,
        say. Meanwhile `judge` answers what trainings ask at their milestones, in the caller's thread.

        Raises:
            UserError: no worker is left that could do any of the tasks.
        """

    def stop(self, *, urgent: bool) -> None:
        """Have tasks end after the stage at hand, or with `urgent` within a training, after its epoch."""

    def close(self) -> None:
        """Let the workers go; tasks that are not done are given up."""
