"""Finalists that were kept at work: hot against cold, as a table and in sentences."""

from __future__ import annotations

from ...profiles.words import duration
from ...search.ranking.hot import hot_lines, kept_at_work, slower_line
from ...search.ranking.known import trial_of
from ...search.ranking.ranking import latency_metric
from ...search.ranking.reading import Reading
from ...search.record.evaluation import Finalist, StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.sustained import Minute, Sustained
from .deployed_section import DeployedSection, SectionRow
from .views import DASH, Cell, cell


def sustained_section(reading: Reading) -> DeployedSection | None:
    """The finalists in the order of the ranking; None where none was kept at work."""
    record, there = reading.record, {one.number: one for one in kept_at_work(reading.record)}
    order = [entry.number for entry in reading.ranking.entries if entry.number in there]
    if not order:
        return None
    kept = _of(there[order[0]])
    metric = latency_metric(record)
    title = metric_info(metric).title
    rows = tuple(
        SectionRow(
            number=number,
            title=trial_of(record, number).evaluation.candidate.title,
            cells=_cells(there[number], metric),
            recommended=number == reading.verdict.recommended,
        )
        for number in order
    )
    return DeployedSection(
        name="sustained",
        title="Sustained",
        intro=f"Each finalist alone on the device for {duration(kept.seconds)} ({kept.load} load), minute by "
        "minute; the ranking goes by the hot latencies.",
        columns=(
            (f"{title} cold", "measured beside the other finalists"),
            (f"{title} hot", f"of the last {kept.hot_minutes} of {len(kept.minutes)} minutes"),
            ("Slower by", "what a run takes longer right after the work than right before, in one process"),
            ("First minute", "p50 / p99 of the response times at this load; a dash where too few came"),
            ("Last minute", "p50 / p99 of the response times at this load; a dash where too few came"),
            ("Temperature", "at the end of the first minute and of the last; a dash where it is not told"),
        ),
        rows=rows,
        lines=(*hot_lines(record, reading.ranking.limits)[1:], *_asides(record, order, there)),
    )


def _asides(record: StudyRecord, order: list[int], there: dict[int, Finalist]) -> list[str]:
    """How the device was let cool, what it told of throttling, and what it does not tell."""
    lines = []
    for number in order:
        kept = _of(there[number])
        slowed = sorted({name for minute in kept.minutes for name in minute.slowed or ()})
        parts = [kept.cooled, f"throttled meanwhile ({', '.join(slowed)})" if slowed else ""]
        if said := "; ".join(filter(None, parts)):
            lines.append(f"#{number}: {said}.")
    if all(m.temperature_c is None for n in order for m in _of(there[n]).minutes):
        lines.append("This device tells no temperature: whether heat has slowed it cannot be known.")
    return lines


def sustained_lines(record: StudyRecord, number: int) -> list[str]:
    """Of one trial, in a sentence; with the minutes."""
    one = next((f for f in kept_at_work(record) if f.number == number), None)
    if one is None:
        return []
    kept = _of(one)
    metric = latency_metric(record)
    cold, hot = (q.get(metric) for q in (kept.cold, kept.hot))
    info = metric_info(metric)
    was = f" ({info.format(cold.value)} cold, {info.format(hot.value)} hot)" if cold and hot else ""
    said = f"At work for {duration(kept.seconds)} ({kept.load} load) it was {slower_line(kept)}{was}."
    minutes = ", ".join(_minute_text(minute) for minute in kept.minutes)
    return [said, f"p50 / p99 by the minute: {minutes}."]


def _minute_text(minute: Minute) -> str:
    warm = "" if minute.temperature_c is None else f" at {minute.temperature_c:.0f} °C"
    return _percentiles(minute) + warm


def minutes_of(one: Finalist) -> tuple[Minute, ...]:
    """Those of a finalist that was kept at work."""
    return _of(one).minutes


def _of(one: Finalist) -> Sustained:
    kept = one.deployed.sustained
    assert kept is not None
    return kept


def _cells(one: Finalist, metric: str) -> tuple[Cell, ...]:
    kept = _of(one)
    slower = kept.slowdown
    share = "" if slower is None else f"{100 * (slower.value - 1):.1f} %"
    interval = "" if slower is None else " to ".join(f"{100 * (end - 1):.1f}" for end in slower.ends)
    ends = [kept.minutes[0], kept.minutes[-1]] if kept.minutes else []
    warm = [minute.temperature_c for minute in ends]
    return (
        cell(metric, kept.cold.get(metric)),
        cell(metric, kept.hot.get(metric)),
        Cell(text=share or DASH, interval=interval, value=None if slower is None else slower.value),
        *(Cell(text=_percentiles(minute), value=minute.p50_ms) for minute in ends),
        Cell(text=_warm(warm)),
    )


def _warm(ends: list[float | None]) -> str:
    """ "45 to 74 °C"; a dash where it is not told."""
    known = [f"{one:.0f}" for one in ends if one is not None]
    return f"{' to '.join(known)} °C" if known else DASH


def _percentiles(minute: Minute) -> str:
    info = metric_info("latency_ms")
    last = DASH if minute.p99_ms is None else info.format(minute.p99_ms)
    return f"{info.format(minute.p50_ms)} / {last}"
