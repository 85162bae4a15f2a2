"""A further question to an artifact, and what the chain does with the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ....backends.measure.samples import Rounds
from ...record.deployed import NOTHING_ASKED, Deployed
from ...record.evaluation import Quantity
from ...record.setting import Setting
from ...store.store import Entry
from ..device.stages import DeviceStages


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An artifact that is asked. `rounds` are those of its latency, in which it is called `name`; `known` is
    what was measured of it so far. `thorough`: it is a finalist, and the answer is shown; else the search
    wants it of every candidate, trained or not, within about a second. `setting` is how it is run (None: as
    the study runs all).
    """

    compiled: Entry
    backend: str
    rounds: Rounds
    name: str
    known: Mapping[str, Quantity]
    thorough: bool = False
    setting: Setting | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """Quantities by metric, fields of the record, and the entries of the store where the answers are kept."""

    metrics: Mapping[str, Quantity] = field(default_factory=dict)
    deployed: Deployed = NOTHING_ASKED
    entries: Sequence[Entry] = ()


class Further(Protocol):
    """One question. `metrics` are those that it may tell."""

    metrics: frozenset[str]

    def told(self, subject: Subject, device: DeviceStages) -> Told:
        """The answer; an empty one where the device cannot tell.

        Raises:
            StageError: the artifact or its runner failed meanwhile.
        """


def all_told(questions: Sequence[Further], subject: Subject, device: DeviceStages) -> Told:
    """The answers to all questions in turn; each knows those before it."""
    whole = Told()
    for question in questions:
        known = {**subject.known, **whole.metrics}
        found = question.told(replace(subject, known=known), device)
        whole = Told(
            metrics={**whole.metrics, **found.metrics},
            deployed=whole.deployed.with_all_of(found.deployed),
            entries=(*whole.entries, *found.entries),
        )
    return whole
