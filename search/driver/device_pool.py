"""The devices of a pool: which one a task uses next, and which one is not what it should be.

All devices of a pool stand for one kind. Every measurement is interleaved with the reference, so that each
device tells what that takes there: one that takes longer than the others, or less, is another device than
they are, or is not in order, and gets nothing more to do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from ...profiles.errors import UserError
from ...profiles.quantity import Quantity
from ...profiles.words import joined
from ..record.stops import DeviceGoneError

MOST_OFF = 0.10
"""Share by which what the reference takes on a device may be off: from there on two models could not be told
apart within a pool that could be on each of its devices (`devices check` asks for the same)."""
SEEN = 3
"""So many measurements in a row have to show it: a device that was disturbed for a moment is not another."""
ENOUGH = 3
"""So many devices can tell which one of them is off: of two it may be either."""
LATEST = 9
"""So many measurements tell what the reference takes on a device, the latest ones."""
BACK_S = 600.0
"""A device that was lost is tried again after so long, and each time after twice as long."""


@dataclass
class _Device:
    """`at_hand` tasks of the `given` ones use it now. `set_aside`: it is off. It was `lost` so often, and
    until `away_until` (by the pool's clock) it gets nothing to do for that."""

    at_hand: int = 0
    given: int = 0
    seen: deque[Quantity] = field(default_factory=lambda: deque(maxlen=LATEST))
    set_aside: bool = False
    lost: int = 0
    away_until: float | None = None

    @property
    def usual_ms(self) -> float:
        """What the reference takes there."""
        return median(one.value for one in self.seen)


class DevicePool:
    """Tells which device a task is to use: `next` gives it, `done` tells that it is free again; `learn` what
    the reference took there, `lost` that it was not reached. `note` is told a line about each that is set
    aside. A study whose profile has no pool has the one device "".
    """

    def __init__(
        self,
        devices: Sequence[str],
        note: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices = {name: _Device() for name in devices or ("",)}
        self._note, self._clock = note, clock
        self._said = set[str]()
        self._standard_ms: float | None = None

    # -- which one is next --------------------------------------------------------------------------

    def next(self) -> str:
        """The device with the fewest tasks at hand, of several the one that had the fewest so far; it has one
        more from now on."""
        name = min(self.usable, key=lambda one: (self._devices[one].at_hand, self._devices[one].given))
        self._devices[name].at_hand += 1
        self._devices[name].given += 1
        return name

    def done(self, device: str) -> None:
        """A task on it has ended, in whichever way."""
        self._devices[device].at_hand -= 1

    @property
    def usable(self) -> tuple[str, ...]:
        """Those that get tasks, in the order of the profile. It is never empty: `lost` raises before."""
        return tuple(name for name, one in self._devices.items() if self._may_work(one))

    def _may_work(self, device: _Device) -> bool:
        away = device.away_until is not None and self._clock() < device.away_until
        return not device.set_aside and not away

    # -- one that is gone ---------------------------------------------------------------------------

    def lost(self, device: str, error: UserError) -> None:
        """It cannot be reached any more: its task is to be done on another one. After a while it is tried
        again.

        Raises:
            DeviceGoneError: none is left.
        """
        one = self._devices[device]
        if one.away_until is None or self._clock() >= one.away_until:  # else a task of before
            one.away_until = self._clock() + BACK_S * 2**one.lost
            one.lost += 1
        if not self.usable:
            raise DeviceGoneError(error.problem, found=error.found, remedy=error.remedy) from error
        why = error.found or error.problem
        self._say(f"lost {device}", f"{device} was lost, and its task is done on another device ({why})")

    # -- one that is off ----------------------------------------------------------------------------

    def settle(self, reference_ms: float) -> None:
        """What the reference of the study takes, by which all its latencies are told."""
        self._standard_ms = reference_ms

    def learn(self, device: str, reference: Quantity) -> None:
        """Take in what the reference took on a device in a measurement, in milliseconds; a device that is off
        is set aside. One that the profile does not name any more teaches nothing."""
        if device not in self._devices:
            return
        self._devices[device].seen.append(reference)
        self._devices[device].lost = 0
        known = {n: one for n, one in self._devices.items() if len(one.seen) >= SEEN and not one.set_aside}
        if device not in known or len(known) < 2:
            return
        if len(known) >= ENOUGH and self._by_most(device, known):
            return
        self._by_standard(known)

    def _by_most(self, device: str, known: dict[str, _Device]) -> bool:
        """Whether most of them are alike, so that they tell; one that is not is set aside."""
        usual = median(one.usual_ms for one in known.values())
        alike = [name for name, one in known.items() if abs(one.usual_ms / usual - 1) <= MOST_OFF]
        if 2 * len(alike) <= len(known):
            return False
        # Beyond the intervals of both: of what it took itself, and of what the others take.
        ends = [known[name].seen[-1].ends for name in alike]
        within = (min(low for low, _ in ends), max(high for _, high in ends))
        if device not in alike and _is_off(known[device], usual, within):
            self._aside(device, usual, f"the median of {len(known)} devices")
            self._check_standard(usual)
        return True

    def _check_standard(self, usual_ms: float) -> None:
        """The device that is off may be the one on which the study began."""
        standard = self._standard_ms
        if not standard or abs(standard / usual_ms - 1) <= MOST_OFF:
            return
        self._say(
            "standard",
            f"times in this study rest on {standard:.4g} ms for the reference, taken on a device that is "
            f"off: most take {usual_ms:.4g} ms. Ratios between candidates hold; for right times leave that "
            "device out, and give profile and study another `name`: what was trained is found again",
        )

    def _by_standard(self, known: dict[str, _Device]) -> None:
        """Two devices that differ, or as many on either side: what the study's reference took decides, as all
        latencies are told by that."""
        low, high = (pick(known, key=lambda name: known[name].usual_ms) for pick in (min, max))
        apart = known[high].usual_ms / known[low].usual_ms - 1
        if apart <= MOST_OFF or not _is_off(known[high], known[low].usual_ms, known[low].seen[-1].ends):
            return
        standard = self._standard_ms
        off = [n for n, one in known.items() if standard and _is_off(one, standard, (standard, standard))]
        if standard and off and len(off) < len(known):
            for name in off:
                self._aside(
                    name, standard, "by which the study tells latencies: so few devices do not tell it"
                )
            return
        took = joined([f"{known[name].usual_ms:.4g} ms on {name}" for name in (low, high)])
        self._say(
            f"differ {low} {high}",
            f"devices of the pool differ by {100 * apart:.0f} %: the reference takes {took}. Which of them "
            "is not in order cannot be told, and both go on",
        )

    def _aside(self, name: str, usual_ms: float, of: str) -> None:
        if self.usable == (name,):
            return  # none would be left
        one = self._devices[name]
        one.set_aside, share = True, one.usual_ms / usual_ms - 1
        off = f"{100 * abs(share):.0f} % {'more' if share > 0 else 'less'} than {usual_ms:.4g} ms ({of})"
        self._say(
            f"aside {name}",
            f"{name} is set aside: the reference takes {one.usual_ms:.4g} ms there, {off}; so it was in "
            f"{SEEN} measurements in a row. It is another device, or not in order: `paretune devices check`",
        )

    def _say(self, about: str, line: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self._note(line)


def _is_off(one: _Device, usual_ms: float, within: tuple[float, float]) -> bool:
    """Whether the latest measurements of a device all lie to one side of what is usual, by more than may be
    and beyond all intervals."""
    latest = list(one.seen)[-SEEN:]
    slower = all(q.value > (1 + MOST_OFF) * usual_ms and q.ends[0] > within[1] for q in latest)
    quicker = all(q.value < (1 - MOST_OFF) * usual_ms and q.ends[1] < within[0] for q in latest)
    return slower or quicker
