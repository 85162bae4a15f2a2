"""What a driver sends to a worker, and why a worker cannot take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...profiles.errors import ParetuneError
from ..record.candidate import Candidate
from ..record.protocols import Standard
from ..record.workers import WorkerTask


@dataclass(frozen=True, kw_only=True)
class StudyOrder:
    """Which study a worker works for. Nothing secret is in it: a password of the storage's URL, say, stays
    where the driver runs.

    `session` is the driver's own; `study_file` where the file lies for all, `expected` what a worker has to
    find there and have itself, see `fitness.facts_of`. `witness` is the key of an entry in the driver's
    store. `reference` is what every measurement is taken against, `seconds` the budget of the whole study.
    """

    session: str
    study_file: str
    expected: Mapping[str, str]
    witness: str
    reference: Candidate
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Order:
    """A task with what it is done by: `seconds_left` for it (None: no end), of which `rest` follow a
    training. A stop was asked for so many times before (`stops`)."""

    study: StudyOrder
    task: WorkerTask
    standard: Standard
    seconds_left: float | None
    rest: float
    stops: int = 0


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """A worker that cannot do a study's tasks, where it is, and all that is in the way, which with `passes`
    may pass. `error`: what befell it at a task, and may befall others."""

    worker: str
    address: str
    differences: tuple[str, ...]
    passes: bool = False
    error: ParetuneError | None = None
