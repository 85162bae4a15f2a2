"""The raw samples of an interleaved latency measurement, and the plan they were taken by: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..watch.state import State
from .memory import ArtifactMemory

REFERENCE = "reference"
PROCESSES = 5  # of the reference, and of each finalist; docs/measurement.md has the figures


@dataclass(frozen=True, kw_only=True)
class LatencyPlan:
    """How much is measured. Times in milliseconds unless the name says otherwise.

    A sample is as many runs as take `min_sample_ms`; a block is as many samples as take `block_ms`, at least
    `min_samples`. `rounds` is cut where a measurement would take more than `limit_s`, but not below
    `min_rounds`; from there on it also ends where the rounds tell the ratio of every subject to the reference
    to within `enough_share` (0: all rounds are taken, as percentiles need them). Warm-up ends when two
    blocks' medians in a row agree within `settled_share` and `warm_up_s` have passed, at the latest after
    `warm_up_limit_s`. `process_spread` is the relative standard deviation between processes of one artifact
    (placement in memory); it widens the interval of a subject that has fewer than three processes. How many
    of the reference and of each finalist are wanted is `processes`.
    """

    rounds: int = 25
    block_ms: float = 15.0
    min_sample_ms: float = 1.0
    min_samples: int = 3
    min_rounds: int = 9
    limit_s: float = 120.0
    enough_share: float = 0.0
    warm_up_s: float = 0.2
    warm_up_limit_s: float = 3.0
    settled_share: float = 0.05
    process_spread: float = 0.0025
    seed: int = 0
    processes: int = PROCESSES


A_A_ROUNDS = 15
WHERE_SLOW: Mapping[str, Any] = {"min_rounds": 5, "min_samples": 1, "limit_s": 10.0}
"""What a model that takes long for one run is content with: an A/A takes seconds, not minutes."""
ENOUGH_SHARE = 0.005
"""A ratio known so closely needs no more rounds while searching: two processes differ by as much."""


def against_itself(plan: LatencyPlan) -> LatencyPlan:
    """How processes of one model are measured against each other, where artifacts are measured by `plan`."""
    return replace(plan, rounds=min(plan.rounds, A_A_ROUNDS), enough_share=0.0, seed=0, **WHERE_SLOW)


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """Seconds of runs before the first round, and whether the block medians agreed at the end."""

    seconds: float
    settled: bool


@dataclass(frozen=True, kw_only=True)
class Block:
    """What one subject did in one round, in nanoseconds: samples of `loops` runs, and single runs.

    `process` is the index of the subject's process that ran. Nothing is ever left out.
    """

    process: int
    samples: tuple[int, ...]
    singles: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Series:
    """All blocks of one subject, one for each round."""

    loops: int
    processes: int
    warm_up: WarmUp
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Raw samples of one interleaved measurement; `to_json` keeps all of it.

    `order` is the order of the subjects in each round. `steal_share` is the share of processor time that the
    hypervisor took away meanwhile (None: unknown). `failed` maps subjects that broke to stage, cause and log.
    `watched` has the states of the device with the number of rounds that were done when each was read.
    `memory` has the subjects' memory after the rounds, where that was asked; it is not kept. `beside` says
    what of ours went on beside the rounds, though it should have paused.
    """

    plan: LatencyPlan
    series: Mapping[str, Series]
    order: tuple[tuple[str, ...], ...]
    steal_share: float | None = None
    failed: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    watched: tuple[tuple[int, State], ...] = ()
    memory: Mapping[str, ArtifactMemory] = field(default_factory=dict)
    beside: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(replace(self, watched=(), memory={}))
        del plain["memory"]
        return {**plain, "watched": [[done, state.to_json()] for done, state in self.watched]}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Rounds:
        """The value that `to_json` wrote."""
        return cls(
            plan=LatencyPlan(**found["plan"]),
            series={name: _series_from(value) for name, value in found["series"].items()},
            order=tuple(tuple(names) for names in found["order"]),
            steal_share=found["steal_share"],
            failed={name: (parts[0], parts[1], parts[2]) for name, parts in found["failed"].items()},
            watched=tuple((done, State.from_json(told)) for done, told in found.get("watched", ())),
            beside=found.get("beside", ""),
        )


def _series_from(found: Mapping[str, Any]) -> Series:
    blocks = tuple(
        Block(process=b["process"], samples=tuple(b["samples"]), singles=tuple(b["singles"]))
        for b in found["blocks"]
    )
    return Series(**{**found, "warm_up": WarmUp(**found["warm_up"]), "blocks": blocks})
