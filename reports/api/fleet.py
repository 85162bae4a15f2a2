"""`choose` for several devices: one answer for a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...search.ranking.ask_again import read_limits_on, read_weights
from ...search.ranking.fleet import Fleet, fleet_of
from ...search.run.fleet_runs import FleetRuns, devices_asked, fill_command, fleet_runs, limits_by_device
from ..terminal.choose import choose as choose_again
from ..terminal.fleet import explained_fleet_text, fleet_text


@dataclass(frozen=True, kw_only=True, repr=False)
class FleetChoice:
    """One configuration for several devices. `fleet` has each contender with its place on each device."""

    fleet: Fleet
    runs: FleetRuns

    @property
    def exit_code(self) -> int:
        """As that of `paretune choose --devices`."""
        return self.fleet.exit_code

    @property
    def why(self) -> str:
        """Why the next best is not the answer."""
        return explained_fleet_text(self.fleet)

    def __str__(self) -> str:
        return fleet_text(self.fleet, lambda device: fill_command(self.runs, device), self.runs.skipped)

    def __repr__(self) -> str:
        return str(self)


def choose_for(run: Path, devices: str, where: Sequence[str] = (), prefer: Sequence[str] = ()) -> FleetChoice:
    """One answer for the devices of a study ("pi,host", "pi=1000,host=50" or "all"): its own, and those that
    it was retargeted to. A limit may be for one of them: "pi: latency <= 5 ms".

    Raises:
        UserError: a device has no run, or a limit or a weight cannot be read.
    """
    runs = fleet_runs(run)
    shares = devices_asked(runs, devices)
    everywhere, own = limits_by_device(runs, shares, where)
    records = {device: runs.runs[device].record for device in shares}
    readings = {
        device: choose_again(
            record, read_limits_on(record, everywhere, own[device]), read_weights(record, prefer)
        )
        for device, record in records.items()
    }
    return FleetChoice(fleet=fleet_of(readings, shares), runs=runs)
