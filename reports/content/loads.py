"""Finalists under load: how many requests a second each serves, and the response times at each load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...profiles.words import counted, duration, joined
from ...search.ranking.known import known_metrics, trial_of
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import quantity_text
from ...search.record.evaluation import StudyRecord
from ...search.record.load import Held, LoadCurve, LoadPoint, NoClaim
from ...search.record.metrics import metric_info
from .deployed_section import DeployedSection, SectionRow
from .views import DASH, Cell, cell

THROUGHPUT, CURVE = "throughput_per_s", "loads"
"""The metric, and the name of the section that has the curve."""
_COLUMNS = (
    ("Throughput", "the largest load at which the limits on latency hold, the time in the queue included"),
    ("Shown", "the largest load at which runs have surely held the limits"),
    ("Too much", "the least load at which runs have surely not held them"),
    ("Back to back", "requests a second where the next one always waits already"),
    ("Predicted", "by following a queue through the service times of the latency measurement"),
)
_LOAD_COLUMNS = (
    ("Load", "requests that came in a second, on average, at random times"),
    ("Served", "requests that were served in a second"),
    ("p50", "half of the response times are at most so long"),
    ("p90", "nine of ten are"),
    ("p99", "99 of 100 are"),
    ("Requests", "requests that were served; in brackets, to how many independent ones they amount"),
    ("Limits held", "whether that is sure by the intervals"),
)
_HELD = {Held.YES: "yes", Held.NO: "no", Held.UNSURE: "not sure"}


@dataclass(frozen=True, kw_only=True)
class LoadedFinalist:
    """A finalist that was put under load."""

    number: int
    title: str
    backend: str
    load: LoadCurve


def loaded(reading: Reading) -> tuple[LoadedFinalist, ...]:
    """Those of a study, in the order of the ranking."""
    found: Mapping[int, LoadCurve] = {
        one.number: one.deployed.load for one in reading.record.finalists if one.deployed.load is not None
    }
    candidates = {n: trial_of(reading.record, n).evaluation.candidate for n in found}
    return tuple(
        LoadedFinalist(number=n, title=candidates[n].title, backend=candidates[n].backend, load=found[n])
        for n in (entry.number for entry in reading.ranking.entries)
        if n in found
    )


def throughput_section(reading: Reading) -> DeployedSection | None:
    """How much each finalist serves; None where none was asked."""
    found = loaded(reading)
    if not found:
        return None
    limits = found[0].load.limits
    rows = tuple(
        SectionRow(
            number=one.number,
            title=one.title,
            cells=_cells(reading.record, one),
            recommended=one.number == reading.verdict.recommended,
        )
        for one in found
    )
    return DeployedSection(
        name="throughput",
        title="Throughput",
        intro=_intro(limits),
        columns=_COLUMNS,
        rows=rows,
        lines=tuple(f"#{one.number}: {line}" for one in found for line in _doubts(one.load)),
    )


def _intro(limits: tuple[str, ...]) -> str:
    if not limits:
        return (
            "Requests a second, served back to back: no limit on latency is set, so no response time is too "
            "long. With one, say `latency_p99 <= 40 ms`, the largest load is found that keeps to it."
        )
    return (
        f"The largest load that keeps to {joined(limits)}. Requests come at random times (a Poisson "
        "process), whether the device is ready or not, and a response time counts from when its request was "
        "to come: time in the queue is in it. Latencies elsewhere in this report are those of a device "
        "without a queue."
    )


def _cells(record: StudyRecord, one: LoadedFinalist) -> tuple[Cell, ...]:
    load, metrics = one.load, known_metrics(record, one.number)[0]
    refuted, claimed = load.refuted_per_s, load.claimed
    return (
        cell(THROUGHPUT, metrics.get(THROUGHPUT)),
        _rate(None if claimed is None or not load.limits else claimed.value),
        _rate(refuted if refuted < float("inf") else None),
        _rate(load.capacity_per_s),
        cell(THROUGHPUT, load.predicted),
    )


def _rate(value: float | None) -> Cell:
    if value is None:
        return Cell(text=DASH)
    return Cell(text=metric_info(THROUGHPUT).format(value), value=value)


def loads_section(reading: Reading) -> DeployedSection | None:
    """The response times at each load that was tried."""
    rows = tuple(
        SectionRow(
            number=one.number,
            title=one.title,
            cells=_point_cells(point, limited=bool(one.load.limits)),
            recommended=one.number == reading.verdict.recommended,
        )
        for one in loaded(reading)
        for point in one.load.points
    )
    if not rows:
        return None
    return DeployedSection(
        name=CURVE,
        title="Response times under load",
        intro="Each load that was tried. A percentile is left out where too few independent requests came: "
        "662 for a p99, 64 for a p90. Requests that wait for one another resemble each other and count for "
        "fewer.",
        columns=_LOAD_COLUMNS,
        rows=rows,
    )


def _point_cells(point: LoadPoint, *, limited: bool) -> tuple[Cell, ...]:
    times = (point.p50_ms, point.p90_ms, point.p99_ms)
    shown = [Cell(text=DASH) if t is None else Cell(text=_ms(t), value=t) for t in times]
    requests = Cell(text=f"{point.requests:,} ({point.independent:,})", value=float(point.requests))
    held = Cell(text=_HELD[point.held] if limited else DASH)
    return (_rate(point.offered_per_s), _rate(point.achieved_per_s), *shown, requests, held)


def _ms(value: float) -> str:
    return metric_info("latency_ms").format(value)


def _doubts(load: LoadCurve) -> list[str]:
    """What keeps a load from being shown, and what was odd meanwhile."""
    lines = [line] if (line := _no_claim(load)) else []
    slowed = load.watched.slowed if load.watched is not None else None
    if load.late and load.no_claim is not NoClaim.GENERATOR:
        lines.append(f"in some runs {_late(load)}: more may be possible than they show.")
    if slowed:
        lines.append(f"the device was slowed down under load: {joined(slowed)}.")
    return lines


def _no_claim(load: LoadCurve) -> str:
    limits, had = joined(load.limits), duration(load.allowed_s)
    if load.no_claim is NoClaim.NEVER:
        return f"no load holds {limits}, not even the least that was tried."
    if load.no_claim is NoClaim.GENERATOR:
        return f"no load is shown: {_late(load)}. That is not the model's fault; its throughput is predicted."
    if load.no_claim is NoClaim.TOO_FEW:
        needs = "" if load.needed_s is None else f" It would take about {duration(load.needed_s)} under load"
        more = f"{needs}, and there are {had} (`measure: {{load: ...}}`, `budget`)." if needs else ""
        return f"no load is shown, as too few independent requests come in that time.{more}"
    if load.claimed is not None and load.limits and not load.tells:
        shown = _rate(load.claimed.value).text
        return f"{had} under load suffice to show {shown} and not more; the throughput is predicted."
    return ""


def _late(load: LoadCurve) -> str:
    late = max((point.late_ms for point in load.points), default=0.0)
    return f"requests came up to {_ms(late)} late (p99), as others used the device, or its clock is coarse"


def throughput_lines(record: StudyRecord, number: int) -> list[str]:
    """Of one trial, in sentences."""
    metrics = {**trial_of(record, number).evaluation.gate, **known_metrics(record, number)[0]}
    quantity = metrics.get(THROUGHPUT)
    if quantity is None:
        return []
    load = next((one.deployed.load for one in record.finalists if one.number == number), None)
    lines = [f"Throughput: {quantity_text(THROUGHPUT, quantity)} [{quantity.provenance}: {quantity.how}]."]
    if load is None:
        return lines
    if load.points:
        many = counted(len(load.points), "load")
        lines.append(f"It was put under {many} for {duration(load.seconds)}: {_curve(load)}.")
    return lines + [line[0].upper() + line[1:] for line in _doubts(load)]


def _curve(load: LoadCurve) -> str:
    """The deciding percentile at each load."""
    name = f"p{100 * load.share:.0f}"
    told = [(p.offered_per_s, p.limited_ms.value) for p in load.points if p.limited_ms is not None]
    return f"{name} " + ", ".join(f"{_ms(ms)} at {_rate(rate).text}" for rate, ms in told)
