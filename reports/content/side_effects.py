"""What compression did to the finalists beside the quality metric, each against the teacher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...search.ranking.known import trial_of
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import gain_text
from ...search.record.evaluation import Finalist, StudyRecord
from ...search.record.metrics import SIDE_EFFECTS, metric_info
from .ladder import coverage_text, sparsity_text
from .views import Cell, cell

MEANINGS = {
    "worst_class_drop": "largest loss of accuracy of any class",
    "agreement": "same answer as the teacher, right or wrong",
    "correlation": "of all numbers with those of the teacher",
    "cosine": "mean cosine of each vector with the teacher's",
    "rank_agreement": "whether both find the same samples close to each other (Spearman)",
    "ece_rise": "how much further confidence is from being right",
}


@dataclass(frozen=True, kw_only=True)
class SideEffectRow:
    """One finalist with one cell per column."""

    number: int
    title: str
    cells: tuple[Cell, ...]
    recommended: bool


@dataclass(frozen=True, kw_only=True)
class SideEffectTable:
    """The finalists in the order of the ranking. `columns` are pairs of title and meaning. `lines` say what
    the teacher brought, what the draw of calibration samples matters, and how the weights of the recommended
    one are stored. `raw` has the values that its side effects were taken from.
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[SideEffectRow, ...]
    lines: tuple[str, ...]
    raw: tuple[str, ...] = ()


def side_effect_table(reading: Reading) -> SideEffectTable | None:
    """None where no finalist has side effects and there is nothing to say of the recommended one."""
    record, recommended = reading.record, reading.verdict.recommended
    found = {finalist.number: finalist for finalist in record.finalists}
    names = [n for n in SIDE_EFFECTS if any(n in f.side_effects for f in record.finalists)]
    order = [entry.number for entry in reading.ranking.entries if entry.number in found] if names else []
    rows = tuple(
        SideEffectRow(
            number=number,
            title=trial_of(record, number).evaluation.candidate.title,
            cells=tuple(cell(name, found[number].side_effects.get(name)) for name in names),
            recommended=number == recommended,
        )
        for number in order
    )
    lines = tuple(_lines(record, order, recommended, found))
    if not rows and not lines:
        return None
    columns = tuple((metric_info(name).title, MEANINGS[name]) for name in names)
    shown = next((row for row in rows if row.recommended), None)
    raw = [] if shown is None else list(zip(columns, shown.cells, strict=True))
    return SideEffectTable(
        columns=columns,
        rows=rows,
        lines=lines,
        raw=tuple(f"{title}: {found.note}" for (title, _), found in raw if found.note),
    )


def _lines(
    record: StudyRecord, order: Iterable[int], recommended: int | None, found: dict[int, Finalist]
) -> list[str]:
    gains: dict[str, list[int]] = {}  # several finalists may share a student
    for number in order:
        if (gain := found[number].distillation_gain) is not None:
            gains.setdefault(gain_text(record, gain), []).append(number)
    lines = [f"{', '.join(f'#{n}' for n in numbers)}: {text}." for text, numbers in gains.items()]
    draws = ((number, found[number].draw_effect) for number in order)
    lines += [f"#{number}: {effect.how}." for number, effect in draws if effect is not None]
    if recommended is not None:
        evaluation = trial_of(record, recommended).evaluation
        texts = (coverage_text(evaluation), sparsity_text(evaluation))
        lines += [f"#{recommended}: {text}." for text in texts if text]
    return lines
