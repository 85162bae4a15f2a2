"""Sensors of power that the kernel shows under hwmon: INA3221 of Jetson boards, INA226 and the like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...profiles.meters import BOARD, GPU, HWMON, PACKAGE, RAIL, READINGS, WINDOW_S
from .meter import Meter, MeterError, MeterFacts, Unreadable, sound_watts
from .rails import scope_of
from .sysfs import folders, name_in, number_of

KIND = HWMON
_CHIPS = ("sys/class/hwmon/hwmon*", "sys/bus/i2c/drivers/ina*/*/hwmon/hwmon*")
_THREE_CHANNELS = "ina3221"
# Its further inputs are voltages over shunts, and a current that is a sum: none of them is a rail.
_CHANNELS = (1, 2, 3)
_SCOPES = {
    "amdgpu": GPU,
    "nouveau": GPU,
    "xe": GPU,
    "i915": GPU,
    "amd_energy": PACKAGE,
    "power_meter": BOARD,
    "acpi_power_meter": BOARD,
}
"""What a driver measures that does not name its rails."""
_MICRO = 1e-6
_LATEST_S, _MOST_UPDATE_MS = 0.01, 60_000


class PowerRail(Meter):
    """A rail whose power is read, or its voltage and current."""

    def __init__(self, facts: MeterFacts, *files: Path) -> None:
        self.facts, self._files = facts, files

    def read(self) -> float:
        """Watts now."""
        values = [number_of(file) for file in self._files]
        if min(values) < 0:
            raise MeterError(f"{self._files[values.index(min(values))]} is {min(values)}")
        watts = values[0] * _MICRO if len(values) == 1 else values[0] * values[1] * _MICRO
        return sound_watts(watts, self.facts.rail)


class CountedRail(Meter):
    """A rail whose energy the driver counts."""

    def __init__(self, facts: MeterFacts, file: Path) -> None:
        self.facts, self._file = facts, file
        self._before = self._raw()

    def _raw(self) -> int:
        raw = number_of(self._file)
        if raw < 0:
            raise MeterError(f"{self._file} is {raw}")
        return raw

    def read(self) -> float:
        """Joules that the driver has counted."""
        raw = self._raw()
        if raw < self._before:
            raise MeterError(f"{self._file} went back from {self._before} to {raw}")
        self._before = raw
        return raw * _MICRO


def found(root: Path) -> tuple[list[Meter], list[Unreadable]]:
    """A meter for each rail of each sensor. One whose name another has too is told apart by its sensor."""
    meters: list[Meter] = []
    unreadable = []
    taken: set[str] = set()
    chips = {chip.resolve(): chip for pattern in _CHIPS for chip in folders(root, pattern)}
    for real, chip in chips.items():
        for input_ in _inputs(chip):
            rail = _free_name(input_, real.name, taken)
            facts = _facts(rail, input_.scope, _update_s(chip), counter=input_.counter)
            try:
                meter = _meter(facts, input_)
                meter.read()
            except MeterError as error:
                said = {"reason": error.reason, "remedy": error.remedy}
                unreadable.append(Unreadable(kind=KIND, rail=rail, **said))
            else:
                meters.append(meter)
    return meters, unreadable


@dataclass(frozen=True)
class _Input:
    """What a sensor measures: the driver's word for the input, its label, what it covers, and the files."""

    own: str
    label: str
    scope: str
    files: tuple[Path, ...]
    counter: bool = False


def _meter(facts: MeterFacts, input_: _Input) -> Meter:
    return CountedRail(facts, input_.files[0]) if input_.counter else PowerRail(facts, *input_.files)


def _free_name(input_: _Input, chip: str, taken: set[str]) -> str:
    names = (input_.label, f"{input_.label} of {chip}", f"{input_.label} of {chip} {input_.own}")
    name = next((name for name in names if name not in taken), names[-1])
    taken.add(name)
    return name


def _inputs(chip: Path) -> Iterator[_Input]:
    """Its rails."""
    driver = name_in(chip / "name", "sensor")
    if driver == _THREE_CHANNELS:
        for number in _CHANNELS:
            files = chip / f"in{number}_input", chip / f"curr{number}_input"
            label = name_in(chip / f"in{number}_label", f"in{number}")
            if all(file.exists() for file in files) and label != "NC":
                yield _Input(f"in{number}", label, scope_of(label), files)
        return
    for stem in ("energy", "power"):
        for file in folders(chip, f"{stem}*_input") or folders(chip, f"{stem}*_average"):
            own = file.name.rpartition("_")[0]
            label = name_in(chip / f"{own}_label", f"{driver} {own}")
            scope = _SCOPES.get(driver, scope_of(label))
            # A processor's driver counts each core beside the sockets.
            scope = RAIL if scope == PACKAGE and "socket" not in label.lower() else scope
            yield _Input(own, label, scope, (file,), counter=stem == "energy")


def _update_s(chip: Path) -> float:
    """How often the sensor has a new reading, where it says so."""
    try:
        told = number_of(chip / "update_interval")
    except MeterError:
        return _LATEST_S
    return max(_LATEST_S, told / 1000) if 0 < told <= _MOST_UPDATE_MS else _LATEST_S


def _facts(rail: str, scope: str, every_s: float, *, counter: bool = False) -> MeterFacts:
    return MeterFacts(
        kind=KIND,
        rail=rail,
        scope=scope,
        counter=counter,
        every_s=every_s,
        window_s=max(WINDOW_S[KIND], READINGS * every_s),
        settle_s=max(0.2, 2 * every_s),
        step=_MICRO if counter else 0.0,
    )
