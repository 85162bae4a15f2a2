"""What the pages show, as small frozen values computed from a study's record. Tests look at these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite

from ...search.ranking.as_run import options_of, words_of
from ...search.ranking.estimated import open_limits
from ...search.ranking.known import TEST, VALIDATION, reference_trial
from ...search.ranking.ranking import Ranked
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import difference_text, quantity_text, speed_range
from ...search.ranking.verdict import (
    DO_NOTHING,
    MET,
    NOT_MET,
    NOTHING_USABLE,
    UNDECIDED,
    Verdict,
    speedup,
)
from ...search.record.evaluation import Limit, Outcome, Quantity, StudyRecord, TrialRecord
from ...search.record.metrics import metric_info
from ...search.record.training import went_on
from .columns import Column, columns, number
from .treatments import treatment_tags

DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"

BADGES = {
    MET: "Limits met",
    DO_NOTHING: "Do nothing",
    NOT_MET: "Limits not met",
    UNDECIDED: "Limits open",
    NOTHING_USABLE: "Nothing usable",
}


OPEN = (NOT_MET, UNDECIDED)
"""Where no candidate is known to meet every limit."""


def badge(verdict: Verdict) -> tuple[str, str]:
    """The answer in two words, and what it is coloured by: one that may change is no success yet."""
    if verdict.provisional:
        return f"Provisional: {BADGES[verdict.status].lower()}", "provisional"
    return BADGES[verdict.status], verdict.status


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number in a table: its text, the interval's text, the raw value to sort by, and where it is from."""

    text: str
    interval: str = ""
    value: float | None = None
    note: str = ""

    @property
    def whole(self) -> str:
        """Number and interval in one text."""
        return f"{self.text} ({self.interval})" if self.interval else self.text


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trial in the ranked table. `rank` is empty for what is not ranked; `place` sorts all rows."""

    number: int
    place: int
    rank: str
    title: str
    backend: str
    outcome: str
    cells: tuple[Cell, ...]
    tags: tuple[str, ...]
    reason: str
    recommended: bool = False


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One large figure beside the verdict."""

    figure: str
    label: str
    detail: str


def limit_text(limit: Limit) -> str:
    """The limit as written; one that is relative to the teacher with what that came to."""
    if not limit.relative:
        return limit.text
    info = metric_info(limit.metric)
    test = limit.bound_on_test
    on_test = "" if test is None or test == limit.bound else f", {info.format(test)} on the test split"
    return f"{limit.text} (that is {info.format(limit.bound)}{on_test})"


def cell(metric: str, quantity: Quantity | None, note: str = "") -> Cell:
    """A quantity as a cell; a dash where there is none."""
    if quantity is None:
        return Cell(text=DASH)
    text, _, interval = quantity_text(metric, quantity).partition(" (")
    origin = "" if quantity.provenance == "measured" else f"{quantity.provenance}: "
    notes = [part for part in (note, origin + quantity.how) if part]
    return Cell(text=text, interval=interval.rstrip(")"), value=quantity.value, note="; ".join(notes))


def rows(reading: Reading) -> tuple[Row, ...]:
    """Every trial: the ranked ones in order, then gated, refused, failed and repeated ones."""
    record = reading.record
    by_number = {trial.number: trial for trial in record.trials}
    ranked = [_ranked_row(reading, by_number[e.number], e) for e in reading.ranking.entries]
    placed = {row.number for row in ranked}
    order = [Outcome.GATED, Outcome.COMPLETE, Outcome.REFUSED, Outcome.FAILED]
    rest = [trial for trial in record.trials if trial.number not in placed]
    rest.sort(key=lambda t: (t.duplicate_of is not None, order.index(t.evaluation.outcome), t.number))
    later = went_on(record)
    unranked = [_row(record, trial, later.get(trial.number)) for trial in rest]
    return tuple(replace(row, place=place) for place, row in enumerate([*ranked, *unranked], start=1))


def _ranked_row(reading: Reading, trial: TrialRecord, entry: Ranked) -> Row:
    record, ranking, verdict = reading.record, reading.ranking, reading.verdict
    tags = [
        tag
        for tag, there in (
            ("recommended", trial.number == verdict.recommended and verdict.status not in OPEN),
            ("nearest", trial.number == verdict.recommended and verdict.status in OPEN),
            ("strongest simple choice", trial.number == verdict.baseline),
            ("simple choice", trial.evaluation.baseline and trial.number != verdict.baseline),
            ("the teacher", trial == reference_trial(record)),
            ("front", entry.on_front and entry.feasible),
            ("finalist", entry.source == TEST),
        )
        if there
    ]
    tags += treatment_tags(trial.evaluation.treatment)
    options = options_of(record, trial.number)
    tags += [f"run with {words_of(options.changes)}"] if options and options.changes else []
    return Row(
        number=trial.number,
        place=0,
        rank=f"{entry.rank}=" if entry.tie else str(entry.rank),
        title=trial.evaluation.candidate.title,
        backend=trial.evaluation.candidate.backend,
        outcome=trial.evaluation.outcome.value,
        cells=(
            *(cell(c.metric, number(record, trial, c), _note(record, trial, c)) for c in columns(record)),
            ratio_cell(speedup(record, trial.number, verdict.baseline)),
        ),
        tags=tuple(tags),
        reason=_missed(entry, open_limits(ranking, entry)),
        recommended=trial.number == verdict.recommended,
    )


def _note(record: StudyRecord, trial: TrialRecord, column: Column) -> str:
    """What a quality was predicted to be."""
    proposal = trial.evaluation.proposal
    if column.metric != record.quality or column.split != VALIDATION:
        return ""
    if proposal is None or proposal.quality is None:
        return ""
    return f"predicted for validation: {quantity_text(column.metric, proposal.quality)}"


def _missed(entry: Ranked, undecided: Sequence[Limit]) -> str:
    known = {limit.text for limit in undecided}
    over = [text for text, v in entry.violations.items() if 0 < v < inf and text not in known]
    unknown = [text for text, v in entry.violations.items() if v == inf]
    parts = [(over, "over: "), (sorted(known), "open: "), (unknown, "not measured, so not met: ")]
    return "; ".join(label + ", ".join(texts) for texts, label in parts if texts)


def ratio_cell(ratio: Quantity | None) -> Cell:
    """A speed-up as a cell."""
    if ratio is None:
        return Cell(text=DASH)
    known = ratio.low is not None and ratio.high is not None
    estimated = ", estimated" if ratio.is_estimate else ""
    interval = f"{ratio.low:.3g} to {ratio.high:.3g}{estimated}" if known else ""
    return Cell(text=f"{ratio.value:.3g}{TIMES}", interval=interval, value=ratio.value, note=ratio.how)


def _row(record: StudyRecord, trial: TrialRecord, went_on_in: int | None) -> Row:
    evaluation = trial.evaluation
    repeated = trial.duplicate_of is not None
    note = "with untrained weights" if evaluation.outcome is Outcome.GATED else ""
    return Row(
        number=trial.number,
        place=0,
        rank="",
        title=evaluation.candidate.title,
        backend=evaluation.candidate.backend,
        outcome="repeated" if repeated else evaluation.outcome.value,
        cells=(*(cell(c.metric, number(record, trial, c), note) for c in columns(record)), Cell(text=DASH)),
        tags=(),
        reason=f"same as #{trial.duplicate_of}"
        if repeated
        else why(trial) + ("" if went_on_in is None else f"; it went on in #{went_on_in}"),
    )


def why(trial: TrialRecord) -> str:
    """Why a trial was gated, refused or failed, in one line."""
    evaluation = trial.evaluation
    if evaluation.outcome is Outcome.FAILED:
        return f"{evaluation.stage}: {evaluation.cause}"
    if evaluation.stopped_epoch:
        how = "paused" if evaluation.paused else "given up"
        return f"training {how} after epoch {evaluation.stopped_epoch}: {evaluation.reason}"
    return evaluation.reason


def outcome_counts(table: Sequence[Row]) -> dict[str, int]:
    """How many rows have each outcome, in the order of the table."""
    counts: dict[str, int] = {}
    for row in table:
        counts[row.outcome] = counts.get(row.outcome, 0) + 1
    return counts


def tiles(reading: Reading) -> tuple[Tile, ...]:
    """The large figures: how much faster, how much smaller, and the quality with its change."""
    entry, verdict = reading.recommended, reading.verdict
    if entry is None:
        return ()
    if verdict.status in OPEN:
        limits = (limit for limit in reading.ranking.limits if limit.metric in entry.metrics)
        return tuple(_limit_tile(limit, entry) for limit in limits)
    shown = [_speed_tile(verdict), _size_tile(verdict), _quality_tile(reading, entry)]
    shown += [_metric_tile(m, entry) for m in ("latency_ms", "size_bytes")] if verdict.speedup is None else []
    return tuple(tile for tile in shown if tile is not None)


def _limit_tile(limit: Limit, entry: Ranked) -> Tile:
    """A limit: what the nearest candidate has, and by how much it misses it."""
    shown = cell(limit.metric, entry.metrics[limit.metric])
    miss = entry.violations[limit.text]
    state = (
        f"misses {limit.text!r} by {difference_text(limit.metric, miss)}"
        if miss > 0
        else f"meets {limit.text!r}"
    )
    return Tile(figure=shown.text, label=metric_info(limit.metric).title.lower(), detail=state)


def _speed_tile(verdict: Verdict) -> Tile | None:
    ratio = verdict.speedup
    if ratio is None:
        return None
    if ratio.is_estimate:
        return Tile(figure=f"{ratio.value:.3g}{TIMES}", label="as fast, expected", detail=speed_range(ratio))
    if ratio.low is not None and ratio.high is not None and ratio.low <= 1 <= ratio.high:
        interval = f"95 % interval {ratio.low:.3g} to {ratio.high:.3g}"
        return Tile(figure=f"{ratio.value:.3g}{TIMES}", label="as fast", detail=interval)
    faster = ratio.value >= 1
    figure = f"{ratio.value if faster else 1 / ratio.value:.3g}{TIMES}"
    interval = ""
    if ratio.low is not None and ratio.high is not None:
        ends = (ratio.low, ratio.high) if faster else (1 / ratio.high, 1 / ratio.low)
        interval = f"95 % interval {ends[0]:.3g} to {ends[1]:.3g}"
    return Tile(figure=figure, label="faster" if faster else "slower", detail=interval)


def _size_tile(verdict: Verdict) -> Tile | None:
    ratio = verdict.size_ratio
    if ratio is None or not isfinite(ratio):
        return None
    figure = f"{ratio if ratio >= 1 else 1 / ratio:.3g}{TIMES}"
    return Tile(figure=figure, label="smaller" if ratio >= 1 else "larger", detail="file of the artifact")


def _quality_tile(reading: Reading, entry: Ranked) -> Tile | None:
    record, simple = reading.record, reading.verdict.baseline
    quality = entry.metrics.get(record.quality)
    if quality is None:
        return None
    shown = cell(record.quality, quality)
    info = metric_info(record.quality)
    base = reading.ranking.of(simple) if simple is not None else None
    detail = f"on the {entry.source} split"
    if base is not None and base.number != entry.number and base.source == entry.source:
        change = quality.value - base.metrics[record.quality].value
        text = f"{100 * change:+.2f} pt" if info.unit == "share" else f"{change:+.3g}"
        detail += f", {text} against the simple choice"
    return Tile(figure=shown.text, label=info.title.lower(), detail=detail)


def _metric_tile(metric: str, entry: Ranked) -> Tile | None:
    if metric not in entry.metrics:
        return None
    shown = cell(metric, entry.metrics[metric])
    whose = "" if entry.metrics[metric].is_estimate else "95 % interval "
    detail = f"{whose}{shown.interval}" if shown.interval else ""
    return Tile(figure=shown.text, label=metric_info(metric).title.lower(), detail=detail)
