"""What a night's page and summary show, as rows and sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from ...profiles.words import duration
from ...search.nights.changes import in_short, kinds_changed
from ...search.nights.history import PAGE, NightHistory
from ...search.nights.night import FactKind, Night, NightStatus
from ...search.ranking.sentences import with_interval
from ...search.record.checks import Checked, CheckOutcome
from ...search.record.metrics import MetricInfo, metric_info
from ..content.checks import CheckRow, check_rows
from ..content.views import DASH, Tile

BADGES = {
    NightStatus.GOOD: ("Fine", "met"),
    NightStatus.REGRESSED: ("Regressed", "nothing_usable"),
    NightStatus.UNUSABLE: ("Nothing usable", "nothing_usable"),
    NightStatus.FAILED: ("Failed", "nothing_usable"),
    NightStatus.SKIPPED: ("Skipped", "undecided"),
    NightStatus.UNFINISHED: ("Unfinished", "undecided"),
    NightStatus.STOPPED: ("Stopped", "undecided"),
    NightStatus.KILLED: ("Killed", "nothing_usable"),
}
"""Each end of a night in a word, with the class that colours it."""
_FIRST = ("latency_ms", "size_bytes", "memory_bytes", "energy_mj", "latency_p90_ms", "throughput_per_s")
"""What is shown beside the quality, in this order, where a night has it."""
TILES = 4
"""So many numbers are shown large, and in the table of all nights."""
_ORDER = (
    CheckOutcome.FAILED,
    CheckOutcome.WARNING,
    CheckOutcome.INCONCLUSIVE,
    CheckOutcome.PASSED,
    CheckOutcome.NOTED,
    CheckOutcome.SKIPPED,
)


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """A metric tonight, and in the night that it is compared with."""

    title: str
    now: str
    before: str
    change: str


@dataclass(frozen=True, kw_only=True)
class NightRow:
    """One night in the table of all nights. `link` leads to its page, where that is still there."""

    number: int
    began: str
    badge: tuple[str, str]
    headline: str
    changed: str
    cells: tuple[str, ...]
    link: str = ""
    is_this: bool = False


def verdict_line(night: Night) -> str:
    """ "Regressed: latency of the found trial 12 +12 %"."""
    return f"{BADGES[night.status][0]}: {night.headline}"


def metrics_shown(night: Night, history: NightHistory) -> tuple[str, ...]:
    """The metrics that are worth a column and a plot."""
    nights = (*history.nights, night)
    quality = next((n.quality for n in reversed(nights) if n.quality), "")
    known = {name for n in nights for name, found in n.metrics.items() if isfinite(found.value)}
    return tuple(name for name in (quality, *_FIRST) if name in known)


def metric_rows(night: Night, history: NightHistory) -> tuple[MetricRow, ...]:
    """The numbers of what the night recommends, beside those of the night that it is compared with."""
    before = None if night.baseline is None else history.of(night.baseline)
    return tuple(
        _metric_row(metric_info(name), name, night, before)
        for name in metrics_shown(night, history)
        if name in night.metrics
    )


def _metric_row(info: MetricInfo, name: str, night: Night, before: Night | None) -> MetricRow:
    now, was = night.metrics[name], None if before is None else before.metrics.get(name)
    return MetricRow(
        title=info.title,
        now=with_interval(info, now),
        before=DASH if was is None else with_interval(info, was),
        change=DASH if was is None else change_text(info, was.value, now.value),
    )


def change_text(info: MetricInfo, before: float, now: float) -> str:
    """A change in words: shares by points, all else in percent."""
    if now == before:
        return "the same"
    sign = "+" if now > before else "\N{MINUS SIGN}"
    if info.unit == "share" or not before:
        return f"{sign}{info.difference(abs(now - before))}"
    percent = abs(100 * (now / before - 1))
    return f"{sign}{percent:.3g} %" if percent >= 1 else f"{sign}{percent:.1g} %"


def tiles(night: Night, history: NightHistory) -> tuple[Tile, ...]:
    """The first of these numbers, large."""
    made = []
    for row in metric_rows(night, history)[:TILES]:
        figure, _, interval = row.now.partition(" (")
        compared = "" if row.before == DASH else f"{row.change} since night {night.baseline}"
        detail = "; ".join(filter(None, (interval.rstrip(")"), compared)))
        made.append(Tile(figure=figure, label=row.title.lower(), detail=detail))
    return tuple(made)


def what_changed(night: Night, history: NightHistory) -> tuple[str, ...]:
    """What may explain the numbers, in plain words, the sentence that sums it up first."""
    before = None if night.baseline is None else history.of(night.baseline)
    if before is None or not night.facts:
        return ()
    lines = (in_short(before, night), *night.changes)
    if night.status is NightStatus.REGRESSED and not kinds_changed(before, night):
        return (*lines, "what is left to look at is the device itself, and what else runs on it")
    return lines


def failed_rows(night: Night) -> tuple[CheckRow, ...]:
    """The checks that failed, and those that warn."""
    return tuple(
        row
        for checked in (night.verified, night.regressed)
        if checked is not None
        for row in check_rows(checked)
        if row.outcome in (CheckOutcome.FAILED, CheckOutcome.WARNING)
    )


def parts(night: Night) -> tuple[tuple[str, str, Checked], ...]:
    """Title, what it is about, and the checks."""
    found = (
        (
            "what is deployed",
            "Does the deployed bundle still do here what its manifest says?",
            night.verified,
        ),
        ("what was found", "Is what the study found tonight worse than before?", night.regressed),
    )
    return tuple((title, about, _worst_first(one)) for title, about, one in found if one is not None)


def _worst_first(checked: Checked) -> Checked:
    return replace(checked, checks=tuple(sorted(checked.checks, key=lambda one: _ORDER.index(one.outcome))))


def night_rows(night: Night, history: NightHistory, most: int = 60) -> tuple[NightRow, ...]:
    """The last nights, this one on top."""
    nights = [*history.nights, night]
    names = metrics_shown(night, history)[:TILES]
    rows = []
    for before, one in zip([None, *nights], nights, strict=False):
        kinds = kinds_changed(before, one) if before is not None and before.facts and one.facts else ()
        there = one is not night and one.number in history.pages
        link = f"../night-{one.number:04d}/{PAGE}" if there else ""
        rows.append(_night_row(one, kinds, names, link, is_this=one is night))
    return tuple(reversed(rows[-most:]))


def _night_row(
    night: Night, kinds: tuple[FactKind, ...], names: tuple[str, ...], link: str, *, is_this: bool
) -> NightRow:
    cells = (
        with_interval(metric_info(name), night.metrics[name]) if name in night.metrics else DASH
        for name in names
    )
    return NightRow(
        number=night.number,
        began=when(night),
        badge=BADGES[night.status],
        headline=night.headline,
        changed=", ".join(kind.value for kind in kinds) or DASH,
        cells=tuple(cells),
        link=link,
        is_this=is_this,
    )


def when(night: Night) -> str:
    """When it began, by the clock of that night."""
    return night.began.replace("T", " ")[:16]


def eyebrow(night: Night) -> tuple[str, ...]:
    """What night this is."""
    took = f"night {night.number}, {when(night)} UTC" if night.began else f"night {night.number}"
    on = f"{night.workload} on {night.profile}" if night.workload else night.profile
    return tuple(
        filter(None, (night.study, took, on, f"took {duration(night.seconds)}" if night.seconds else ""))
    )


def facts_shown(night: Night, history: NightHistory) -> tuple[tuple[str, str, str, str], ...]:
    """Kind, name, value tonight, and before where it differs: of versions, device and its state."""
    before = None if night.baseline is None else history.of(night.baseline)
    was = {(f.kind, f.name): f.words for f in before.facts} if before else {}
    shown = (FactKind.VERSIONS, FactKind.DEVICE, FactKind.STATE, FactKind.DATA)
    return tuple(
        (
            f.kind.value,
            f.name,
            f.words,
            "" if was.get((f.kind, f.name), f.words) == f.words else was[f.kind, f.name],
        )
        for f in night.facts
        if f.kind in shown
    )
