"""One configuration for several devices, as text: what each device loses by it, and why no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...profiles.words import joined
from ...search.ranking.fleet import AGGREGATE, Contender, Fleet, Placement
from ...search.ranking.losses import faster
from ...search.ranking.ranking import Ranked, comparable, latency_metric
from ...search.ranking.reading import Reading
from ...search.ranking.runner_up import fleet_runner_up
from ...search.ranking.sentences import quantity_text
from ...search.ranking.verdict import size_ratio
from ...search.record.evaluation import Quantity, StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.samples import difference
from ..content.runner_up import fleet_why_not_lines
from ..content.treatments import treatment_texts
from ..content.views import limit_text

Fill = Callable[[str], str]
"""The command that evaluates more candidates on a device."""


def fleet_text(fleet: Fleet, fill: Fill, skipped: Sequence[str] = ()) -> str:
    """The whole answer."""
    best = fleet.best
    lines = [*_provisional(fleet), *skipped]
    if best is None:
        lines += ["Nothing usable: no configuration is complete on all of these devices."]
    else:
        lines += [_headline(fleet, best), *_sentences(fleet, best), "", *_table(fleet, best), ""]
        lines += _runner_up(fleet, best)
        lines += _by_model(fleet)
    lines += _missing(fleet, fill)
    return "\n".join([*lines, "", *_asked(fleet), AGGREGATE])


def _provisional(fleet: Fleet) -> list[str]:
    return [
        f"{device}: {reading.verdict.provisional}"
        for device, reading in fleet.readings.items()
        if reading.verdict.provisional
    ]


def name_of(one: Contender) -> str:
    """The configuration, with what repaired it."""
    texts = treatment_texts(one.treatment)
    return f"{one.candidate.title} ({'; '.join(texts)})" if texts else one.candidate.title


def _headline(fleet: Fleet, best: Contender) -> str:
    if best.feasible:
        return f"Ship {name_of(best)} on {joined(list(fleet.readings))}."
    failing = [device for device, place in best.places.items() if not place.entry.feasible]
    return (
        f"No configuration meets the limits on every device. The nearest is {name_of(best)}, which fails on "
        f"{joined(failing)}."
    )


def _sentences(fleet: Fleet, best: Contender) -> list[str]:
    lines = []
    if best.feasible and not best.worst:
        lines.append("It is the best there is on each of them.")
    elif best.feasible:
        lines.append(
            f"Its largest regret is {_regret(best.worst)}, on {best.hardest}; the mean over the fleet is "
            f"{_regret(best.mean)}{_shares(fleet)}."
        )
    for device, place in best.places.items():
        lines += [f"{device}: {text}" for text in _misses(fleet.readings[device], place.entry)]
    return [f"  {line}" for line in lines]


def _regret(value: float) -> str:
    return f"{value:.3g}" if value else "0"


def _shares(fleet: Fleet) -> str:
    if len(set(fleet.shares.values())) == 1:
        return ""
    return f" ({', '.join(f'{device} {share:g}' for device, share in fleet.shares.items())})"


def _misses(reading: Reading, entry: Ranked) -> list[str]:
    """What it has where it is over a limit."""
    found = []
    for limit in reading.ranking.limits:
        if entry.violations.get(limit.text, 0.0) > 0:
            value = entry.metrics.get(limit.metric)
            has = "not measured" if value is None else quantity_text(limit.metric, value)
            found.append(f"misses {limit_text(limit)}: {has}")
    return found


def _table(fleet: Fleet, best: Contender) -> list[str]:
    """What each device loses by it, against its own best."""
    some = next(iter(fleet.readings.values())).record
    quality = metric_info(some.quality).title
    heads = [
        "Device",
        "There",
        "Latency",
        "loses",
        quality,
        "loses",
        "Size",
        "loses",
        "Regret",
        "Its own best",
    ]
    rows = [heads, *(_row(fleet.readings[device], device, place) for device, place in best.places.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _row(reading: Reading, device: str, place: Placement) -> list[str]:
    record, entry = reading.record, place.entry
    own = reading.ranking.best or reading.ranking.entries[0]
    latency = latency_metric(record)
    shown = [entry.metrics.get(name) for name in (latency, record.quality, "size_bytes")]
    texts = [
        "not measured" if value is None else quantity_text(name, value)
        for name, value in zip((latency, record.quality, "size_bytes"), shown, strict=True)
    ]
    same = own.number == entry.number
    losses = ["nothing"] * 3 if same else _losses(record, entry, own)
    cells = [text for pair in zip(texts, losses, strict=True) for text in pair]
    there = f"#{entry.number} rank {entry.rank}{'=' if entry.tie else ''}"
    title = "itself" if same else f"#{own.number} ({_title(record, own.number)})"
    return [
        device,
        there,
        *cells,
        _regret(place.regret),
        title if entry.feasible else f"{title}; over a limit",
    ]


def _title(record: StudyRecord, number: int) -> str:
    return next(t.evaluation.candidate.title for t in record.trials if t.number == number)


def _losses(record: StudyRecord, entry: Ranked, own: Ranked) -> list[str]:
    mine, theirs = (metrics.get(record.quality) for metrics in comparable(record, entry, own))
    ratio = size_ratio(record, entry.number, own.number)
    return [
        slower_text(faster(record, entry, own)),
        "not known" if mine is None or theirs is None else quality_text(record.quality, mine, theirs),
        "not known" if ratio is None else _percent(1 / ratio - 1),
    ]


def slower_text(ratio: Quantity | None) -> str:
    """How much longer it takes, as a share: "+12 % (10 to 14)"."""
    if ratio is None:
        return "not known"
    text = _percent(1 / ratio.value - 1)
    if ratio.low is None or ratio.high is None:
        return text
    return f"{text} ({100 / ratio.high - 100:.2g} to {100 / ratio.low - 100:.2g})"


def _percent(share: float) -> str:
    return f"{100 * share:+.2g} %" if round(share, 4) else "0 %"


def quality_text(metric: str, mine: Quantity, theirs: Quantity) -> str:
    """What quality is lost or won, with its interval: "-1.2 pt (-1.9 to -0.4)"."""
    gap = difference(mine, theirs)
    low, high = (mine.ends[0] - theirs.ends[1], mine.ends[1] - theirs.ends[0]) if gap is None else gap.ends
    share = metric_info(metric).unit == "share"
    value, low, high = (100 * x if share else x for x in (mine.value - theirs.value, low, high))
    unit = " pt" if share else ""
    return f"{value:+.3g}{unit} ({low:+.3g} to {high:+.3g})"


def _runner_up(fleet: Fleet, best: Contender) -> list[str]:
    """The second and why it lost."""
    if len(fleet.contenders) < 2:
        return ["It is the only configuration that is complete on all of them."]
    second = fleet.contenders[1]
    if best.feasible and not second.feasible:
        device = next(d for d, place in second.places.items() if not place.entry.feasible)
        missed = "; ".join(_misses(fleet.readings[device], second.places[device].entry))
        return [
            f"No other meets the limits on all of them. The nearest, {name_of(second)}, on {device} {missed}."
        ]
    why_not = (
        f"it misses limits by more in all, the most on {second.hardest}"
        if not best.feasible
        else f"its largest regret is {_regret(second.worst)}, on {second.hardest}"
        if second.worst > best.worst
        else f"its largest regret is the same, and its mean {_regret(second.mean)}"
    )
    return [f"Runner-up: {name_of(second)}: {why_not}."]


def explained_fleet_text(fleet: Fleet) -> str:
    """Why the second configuration is not the answer, device by device."""
    why = fleet_runner_up(fleet)
    if why is None:
        return "\nThere is no other configuration that is complete on all of these devices."
    return "\n".join(["", *fleet_why_not_lines(why, name_of(why.contender))])


def _by_model(fleet: Fleet) -> list[str]:
    """The other reading of one configuration."""
    found, best = fleet.by_model, fleet.best
    if found is None or best is None:
        return []
    if best.feasible and (found.worst, found.mean) >= (best.worst, best.mean):
        return ["With a backend of its own for each device, nothing would lose less."]
    own = {d: place.trial.evaluation.candidate.backend for d, place in found.places.items()}
    which = ", ".join(f"{backend} on {device}" for device, backend in own.items())
    return [
        f"With a backend of its own for each device ({which}), {found.candidate.title} would lose least: its "
        f"largest regret is {_regret(found.worst)}, its mean {_regret(found.mean)}."
    ]


def _missing(fleet: Fleet, fill: Fill) -> list[str]:
    """What was not measured everywhere and might lose less, with the command that would tell."""
    gaps: dict[str, list[Contender]] = {}
    for one in fleet.rivals:
        lacking = [device for device in fleet.readings if device not in one.places]
        if all(_unknown(fleet.readings[device].record, one) for device in lacking):
            for device in lacking:
                gaps.setdefault(device, []).append(one)
    return [
        f"Not evaluated on {device}, and might lose less: {len(found)}, say {name_of(found[0])}; with more "
        f"`budget`, {fill(device)} goes on there."
        for device, found in gaps.items()
    ]


def _unknown(record: StudyRecord, one: Contender) -> bool:
    """Whether a device said nothing of it yet."""
    ends = [t.evaluation for t in record.trials if t.evaluation.candidate == one.candidate]
    return all(e.try_again for e in ends)


def _asked(fleet: Fleet) -> list[str]:
    """Limits on each device, and the weights."""
    first = next(iter(fleet.readings.values()))
    limits = {d: "; ".join(map(limit_text, r.ranking.limits)) or "none" for d, r in fleet.readings.items()}
    weights = ", ".join(f"{metric_info(m).title} {w:g}" for m, w in first.ranking.weights.items())
    return [*(f"Limits on {device}: {text}" for device, text in limits.items()), f"Weights: {weights}"]
