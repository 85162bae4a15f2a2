"""How sharply latencies can be told apart on a device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What an A/A of the reference has told, at the start of a study.

    `process_spread` is the standard deviation between processes of one model, as a share of its latency, seen
    in so many `processes` (0: assumed, as too few fit into the device's memory). Latencies of two candidates,
    each measured in one process, can be told apart from a difference of `told_apart` on, as a share: beyond
    that and beyond the noise of the rounds.
    Sessions are held on `cores`; there are none where the device does not let a process choose. `shortened`
    says what of measuring is less than the study file asks for, and why (empty: nothing).
    """

    process_spread: float
    processes: int
    told_apart: float
    cores: tuple[int, ...] = ()
    shortened: str = ""
