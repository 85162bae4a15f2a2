"""What is said of a study whose device was not there: a banner, what estimates rest on, what to time next."""

from __future__ import annotations

from dataclasses import dataclass

from ...profiles.words import joined
from ...search.ranking.known import known_metrics, trial_of
from ...search.ranking.ranking import RULES
from ...search.ranking.sentences import IN_CASES, TAKEN_ON_DEVICE
from ...search.record.estimated import Brought
from ...search.record.evaluation import StudyRecord
from ...search.record.metrics import metric_info
from .views import Cell, cell

LATENCY = "latency_ms"
_MEASURING = (
    (
        "they were scored on the test split and measured again side by side",
        "they were scored on the test split",
    ),
    ("beyond measurement error", "beyond the range of the estimates"),
)


@dataclass(frozen=True, kw_only=True)
class TimedRow:
    """An artifact that somebody has timed on the device: its latency as it was estimated before, as it was
    timed, and as it is estimated now. `inside`: the first range held what was timed."""

    title: str
    artifact: str
    before: Cell
    timed: str
    now: Cell
    inside: bool | None


@dataclass(frozen=True, kw_only=True)
class ToTime:
    """An artifact that is worth timing on the device, in its place."""

    number: int
    title: str
    artifact: str
    latency: Cell


@dataclass(frozen=True, kw_only=True)
class EstimatesShown:
    """All that is shown of it. `sentences` say what was brought and how far off estimates were, `basis` what
    they rest on."""

    banner: str
    basis: tuple[str, ...]
    sentences: tuple[str, ...]
    timed: tuple[TimedRow, ...]
    to_time: tuple[ToTime, ...]


def estimates(record: StudyRecord) -> EstimatesShown | None:
    """None where the device was there."""
    known = record.estimated
    if known is None:
        return None
    timed = tuple(_timed(record, one) for one in known.brought if LATENCY in one.metrics)
    return EstimatesShown(
        banner=banner(record),
        basis=known.basis,
        sentences=tuple(_sentences(record, timed)),
        timed=timed,
        to_time=tuple(_to_time(record, number) for number in known.to_measure),
    )


def banner(record: StudyRecord) -> str:
    """That these are estimates; empty where they are not."""
    if record.estimated is None:
        return ""
    return (
        f"Estimates for a device that was not there: nothing here was taken on {record.estimated.device}. "
        f"{_estimated(record)} estimated from the profile {record.profile!r}; the range behind "
        f"each holds the true value {IN_CASES}. Quality and size are those of the artifacts, scored on this "
        "machine."
    )


def _estimated(record: StudyRecord) -> str:
    """ "Latency and memory are"."""
    found = {
        metric_info(name).title.lower()
        for trial in record.trials
        for name, quantity in {**trial.evaluation.gate, **trial.evaluation.metrics}.items()
        if quantity.is_estimate and name in TAKEN_ON_DEVICE
    }
    titles = sorted(found) or ["latency"]
    return f"{joined(titles).capitalize()} {'is' if len(titles) == 1 else 'are'}"


def intervals(record: StudyRecord) -> str:
    """What stands behind a number in a table."""
    if record.estimated is None:
        return "Small numbers are 95 % intervals."
    return (
        "Small numbers are 95 % intervals; where “estimated” stands behind them, the range that holds the "
        f"true value {IN_CASES}."
    )


def rules(record: StudyRecord) -> tuple[str, ...]:
    """How the ranking is made, in the words of this study."""
    if record.estimated is None:
        return RULES
    found = []
    for rule in RULES:
        for usual, here in _MEASURING:
            rule = rule.replace(usual, here)
        found.append(rule)
    sure = (
        "An estimate meets a limit where the whole of its range does; where a limit lies in the range, "
        "whether it is met is open."
    )
    together = (
        "What is not known of the device is alike for all candidates, so that estimates are compared case by "
        f"case: they differ where one is better {IN_CASES}, though their ranges may overlap."
    )
    return (found[0], sure, *found[1:], together)


def _timed(record: StudyRecord, one: Brought) -> TimedRow:
    timed = one.metrics[LATENCY]
    now = next(
        (
            t.evaluation.metrics.get(LATENCY)
            for t in record.trials
            if t.evaluation.artifact_key == one.artifact
        ),
        None,
    )
    before = one.estimate
    return TimedRow(
        title=one.candidate.title,
        artifact=one.artifact[:12],
        before=cell(LATENCY, before),
        timed=metric_info(LATENCY).format(timed),
        now=cell(LATENCY, now),
        inside=None if before is None else before.ends[0] <= timed <= before.ends[1],
    )


def _sentences(record: StudyRecord, timed: tuple[TimedRow, ...]) -> list[str]:
    asked = [row for row in timed if row.inside is not None]
    if not timed:
        return []
    said = [f"{len(timed)} {'artifact was' if len(timed) == 1 else 'artifacts were'} timed on the device."]
    if asked:
        inside = sum(bool(row.inside) for row in asked)
        said.append(f"{inside} of {len(asked)} lay in the range that was estimated before.")
    narrower = _narrower(record)
    return [*said, narrower] if narrower else said


def _narrower(record: StudyRecord) -> str:
    """How the ranges of all others have changed."""
    known = record.estimated
    before = known.before if known else {}
    pairs = []
    for trial in (one for one in record.trials if one.duplicate_of is None):
        was, now = before.get(trial.evaluation.candidate.digest), trial.evaluation.metrics.get(LATENCY)
        if was is not None and now is not None and was.ends[0] > 0 and now.ends[0] > 0:
            pairs.append((was.ends[1] / was.ends[0], now.ends[1] / now.ends[0], now.value / was.value))
    if not pairs:
        return ""
    was, now, moved = (sorted(column)[len(pairs) // 2] for column in zip(*pairs, strict=True))
    return (
        f"Over {len(pairs)} candidates, upper ends of ranges were {was:.3g} times the lower ones before and "
        f"are {now:.3g} times them now (median); the estimates are {moved:.3g} times what they were."
    )


def _to_time(record: StudyRecord, number: int) -> ToTime:
    evaluation = trial_of(record, number).evaluation
    return ToTime(
        number=number,
        title=evaluation.candidate.title,
        artifact=evaluation.artifact_key[:12],
        latency=cell(LATENCY, known_metrics(record, number)[0].get(LATENCY)),
    )
