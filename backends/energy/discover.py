"""Which meters a device has, and which of them a study takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...profiles.meters import BOARD, GPU, HWMON, MODULE, NVML, PACKAGE, PMIC, RAPL, TEGRASTATS
from ..watch.watcher import within
from . import hwmon, nvml, pmic, rapl, tegrastats
from .meter import Meter, MeterError, MeterFacts, Unreadable
from .rails import summed

LIMIT_S, SLOWEST_S = 10.0, 1.5
_BEST = (BOARD, MODULE, GPU, PACKAGE)
_QUICKEST = (HWMON, RAPL, NVML, TEGRASTATS, PMIC)

Finder = Callable[[], tuple[list[Meter], list[Unreadable]]]


@dataclass(frozen=True, kw_only=True)
class MeterWish:
    """What a profile says of its device's meter. `kind` "": none in particular; `rails` are added up, none
    stands for the one that covers most; `scope` is what they cover, where the meter does not say. `root` is
    the folder that holds `sys`, `program` the tool where it is another than the usual one."""

    kind: str = ""
    rails: tuple[str, ...] = ()
    scope: str = ""
    root: str = "/"
    program: str = ""

    @property
    def title(self) -> str:
        """ "hwmon VDD_IN"."""
        return f"{self.kind} {' + '.join(self.rails)}".strip()


@dataclass(frozen=True, kw_only=True)
class MetersFound:
    """What there is, and what could be but cannot be read."""

    meters: tuple[MeterFacts, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def meters_of(wish: MeterWish) -> tuple[list[Meter], list[Unreadable]]:
    """All meters of the wished kind, or of all kinds; the caller closes them. A kind that hangs is left out,
    and so is a meter whose readings come too seldom for any window."""
    meters, unreadable = [], []
    for kind, find in _finders(wish).items():
        if wish.kind in ("", kind):
            told = within(LIMIT_S, find)
            if told is None:
                unreadable.append(Unreadable(kind=kind, rail="", reason=f"no answer within {LIMIT_S:g} s"))
                continue
            meters += [one for one in told[0] if one.facts.every_s <= SLOWEST_S]
            unreadable += [*told[1], *(_too_slow(one) for one in told[0] if one.facts.every_s > SLOWEST_S)]
    return meters, unreadable


def _too_slow(meter: Meter) -> Unreadable:
    facts = meter.facts
    return Unreadable(
        kind=facts.kind, rail=facts.rail, reason=f"it has a new reading every {facts.every_s:g} s, too seldom"
    )


def _finders(wish: MeterWish) -> Mapping[str, Finder]:
    root = Path(wish.root)
    return {
        RAPL: lambda: rapl.found(root),
        HWMON: lambda: hwmon.found(root),
        NVML: lambda: nvml.found(named=wish.kind == NVML),
        PMIC: lambda: pmic.found(wish.program or pmic.PROGRAM),
        TEGRASTATS: lambda: tegrastats.found(wish.program or tegrastats.PROGRAM),
    }


def look(wish: MeterWish) -> MetersFound:
    """What a device has of the wished kind."""
    meters, unreadable = meters_of(wish)
    for meter in meters:
        meter.close()
    return MetersFound(meters=tuple(meter.facts for meter in meters), unreadable=tuple(unreadable))


def chosen(found: MetersFound, wish: MeterWish, *, gpu: bool) -> MeterFacts:
    """The one that a study takes: what the profile names, else the one that covers most of what is there.
    `gpu`: the device is one with a card, of which a card's own meter tells something.

    Raises:
        MeterError: there is none such; says what there is in its place.
    """
    if wish.rails:
        return _named(found, wish)
    ranks = [scope for scope in _BEST if gpu or scope != GPU]
    able = [one for one in found.meters if one.scope in ranks or (wish.kind and len(found.meters) == 1)]
    if not able:
        raise _none(found, wish)

    def rank(one: MeterFacts) -> tuple[int, int]:
        return (
            ranks.index(one.scope) if one.scope in ranks else len(ranks),
            _QUICKEST.index(one.kind),
        )

    best = sorted(able, key=rank)
    equal = [one for one in best if rank(one) == rank(best[0])]
    if len(equal) > 1:
        rails = ", ".join(one.rail for one in equal)
        raise MeterError(
            f"there are several meters of {equal[0].kind} that cover a {equal[0].scope}: {rails}",
            f"name one in the profile: `meter: {{kind: {equal[0].kind}, rail: {equal[0].rail}}}`",
        )
    return _covering(best[0], wish)


def _named(found: MetersFound, wish: MeterWish) -> MeterFacts:
    of_kind = {one.rail: one for one in found.meters}
    if any(rail not in of_kind for rail in wish.rails):
        raise _none(found, wish)
    return _covering(summed([_Named(of_kind[rail]) for rail in wish.rails]).facts, wish)


class _Named(Meter):
    """A meter of which only the facts are at hand."""

    def __init__(self, facts: MeterFacts) -> None:
        self.facts = facts

    def read(self) -> float:
        raise MeterError("it is on the device")


def _covering(facts: MeterFacts, wish: MeterWish) -> MeterFacts:
    return replace(facts, scope=wish.scope) if wish.scope else facts


def _none(found: MetersFound, wish: MeterWish) -> MeterError:
    """Why there is no meter, and what to do."""
    there = ", ".join(one.title for one in found.meters)
    broken = "; ".join(one.text for one in found.unreadable)
    remedies = dict.fromkeys(one.remedy for one in found.unreadable if one.remedy)
    if wish.title:
        reason = f"there is no meter {wish.title!r} (the profile names it)"
        others = "; ".join(filter(None, (there, broken)))
        return MeterError(
            f"{reason}, but {others}" if others else f"{reason}: {_missing(wish)}",
            "; ".join(remedies) or "name one of those that `paretune devices check` lists",
        )
    if broken and not there:
        return MeterError(broken, "; ".join(remedies))
    if there:
        first = found.meters[0]
        return MeterError(
            f"what is there measures a part, or says not of what: {there}",
            f"name one in the profile, say `meter: {{kind: {first.kind}, rail: {first.rail}, scope: board}}`",
        )
    return MeterError(
        "the device has no meter: no RAPL, no sensor of power under hwmon, no NVIDIA card, neither "
        f"{pmic.PROGRAM} nor {tegrastats.PROGRAM}",
    )


def _missing(wish: MeterWish) -> str:
    """What a kind is looked for by, and was not there."""
    root = wish.root.rstrip("/")
    files = {RAPL: f"{root}/sys/class/powercap/intel-rapl:*", HWMON: f"{root}/sys/class/hwmon/hwmon*"}
    programs = {PMIC: pmic.PROGRAM, TEGRASTATS: tegrastats.PROGRAM}
    if wish.kind in files:
        return f"nothing in {files[wish.kind]} tells energy or power"
    return f"no program {wish.program or programs[wish.kind]}" if wish.kind in programs else "no card"


def opened(wish: MeterWish, rails: Sequence[str]) -> Meter:
    """The meter of these rails, or the only one of them; the caller closes it.

    Raises:
        MeterError: it is not there any more, or cannot be read.
    """
    meters, unreadable = meters_of(wish)
    by_rail = {meter.facts.rail: meter for meter in meters}
    taken = [by_rail[rail] for rail in rails if rail in by_rail]
    for meter in meters:
        if meter not in taken:
            meter.close()
    if len(taken) < len(rails):
        broken = "; ".join(one.text for one in unreadable)
        raise MeterError(broken or f"{wish.kind} {' + '.join(rails)} is not there any more")
    return summed(taken)
