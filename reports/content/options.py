"""How finalists are run, which option mattered, and what was tried for nothing: a table and sentences."""

from __future__ import annotations

from collections.abc import Iterable

from ...profiles.words import joined
from ...search.ranking.as_run import as_run_lines, changes_text, gain, options_of, words_of
from ...search.ranking.known import trial_of
from ...search.ranking.reading import Reading
from ...search.record.evaluation import Quantity, StudyRecord
from ...search.record.options import Options, Try, changes
from ...search.record.setting import Setting
from .deployed_section import DeployedSection, SectionRow
from .views import DASH, TIMES, Cell, ratio_cell

_COLUMNS = (
    ("Run with", "what is set otherwise than the study searched"),
    (
        "Gain",
        "samples in the same time, measured afresh in new processes beside the default",
    ),
    ("Each alone", "what each of it gained alone while options were searched"),
    ("Others tried", "what else was tried alone, and what it came to"),
    ("Not possible", "what does not run, misses a limit, or did not hold what it promised"),
)


def options_section(reading: Reading) -> DeployedSection | None:
    """The finalists in the order of the ranking; None where nothing was tried."""
    record = reading.record
    there = {e.number: found for e in reading.ranking.entries if (found := options_of(record, e.number))}
    if not there:
        return None
    rows = tuple(
        SectionRow(
            number=number,
            title=trial_of(record, number).evaluation.candidate.title,
            cells=_cells(options),
            recommended=number == reading.verdict.recommended,
        )
        for number, options in there.items()
    )
    default = next(iter(there.values())).default
    return DeployedSection(
        name="options",
        title="Deployment options",
        intro=f"The study searched with {default.title}. What changes no weights was tried on finalists. A "
        "setting counts only where it is faster beyond error when measured afresh, and holds the limits "
        "that the default holds. All are run at one batch, so that their latencies can be compared.",
        columns=_COLUMNS,
        rows=rows,
        lines=(*_mattered(there.values()), *_batch(default, there.values()), *_left_out(there)),
    )


def option_lines(record: StudyRecord, number: int) -> list[str]:
    """Of one trial, in sentences."""
    options = options_of(record, number)
    if options is None:
        return []
    lines = as_run_lines(record, number) or [
        f"Run as searched, with {options.default.title}: nothing gained."
    ]
    tried = [_came_alone(t, options) for t in options.tried]
    lines += [f"Tried: {'; '.join(tried)}."] if tried else []
    if options.rejected is not None:
        lines.append(f"Not chosen after all: {_rejected(options)}.")
    return [*lines, *(f"Not tried: {why}." for why in options.untried)]


def _cells(options: Options) -> tuple[Cell, ...]:
    ratio, changed = options.ratio_to_default, options.changes
    alone = {name: one for one in options.tried if (name := _single(one, options)) and not one.note}
    others = [one for name, one in alone.items() if changed.get(name[0]) != name[1]]
    broken = [f"{changes_text(t.setting, options.default)}: {t.note}" for t in options.tried if t.note]
    broken += [_rejected(options)] if options.rejected is not None else []
    mattered = [_came_alone(one, options) for name, one in alone.items() if changed.get(name[0]) == name[1]]
    return (
        Cell(text=words_of(changed) or "as searched"),
        Cell(text=DASH) if ratio is None else ratio_cell(gain(ratio)),
        Cell(text="; ".join(mattered) or DASH),
        Cell(text="; ".join(_came_alone(one, options) for one in others) or DASH),
        Cell(text="; ".join(broken) or DASH),
    )


def _single(one: Try, options: Options) -> tuple[str, str] | None:
    """Name and value of what was tried alone."""
    changed = changes(one.setting, options.default)
    return next(iter(changed.items())) if len(changed) == 1 else None


def _gain(one: Try) -> float:
    return 0.0 if one.ratio_to_default is None else 1 / one.ratio_to_default.value


def _came_alone(one: Try, options: Options) -> str:
    return f"{changes_text(one.setting, options.default)}: {_came_to(one)}"


def _came_to(one: Try) -> str:
    """How many times as fast, and what is the matter."""
    times = "" if one.ratio_to_default is None else _times(one.ratio_to_default)
    return " ".join(filter(None, (times, f"({one.note})" if one.note else "")))


def _times(ratio: Quantity) -> str:
    return f"{1 / ratio.value:.3g}{TIMES}"


def _rejected(options: Options) -> str:
    one = options.rejected
    return "" if one is None else _came_alone(one, options)


def _mattered(all_options: Iterable[Options]) -> list[str]:
    """Which option mattered most, by what it gained alone, and for how many of the finalists."""
    gains: dict[str, list[float]] = {}
    count, tried = 0, 0
    for options in all_options:
        count, tried = count + 1, tried + len(options.tried)
        for one in options.tried:
            name = _single(one, options)
            if name and options.changes.get(name[0]) == name[1] and one.ratio_to_default is not None:
                gains.setdefault(" ".join(name), []).append(_gain(one))
    if not tried:
        return []
    if not gains:
        return ["No option gained anything beyond error: the finalists are run as they were searched."]
    ordered = sorted(gains.items(), key=lambda item: -max(item[1]))
    said = [
        f"{name} (up to {max(found):.3g}{TIMES} alone, {len(found)} of {count})" for name, found in ordered
    ]
    return [f"What mattered: {joined(said)}."]


def _batch(default: Setting, all_options: Iterable[Options]) -> list[str]:
    """Of how many samples latencies are, where another batch was chosen."""
    batch = next(iter(all_options)).chosen.batch
    if batch == default.batch:
        return []
    return [f"Latencies of finalists are of runs of {batch} samples, those of all others of {default.batch}."]


def _left_out(there: dict[int, Options]) -> list[str]:
    """What was not tried, once for all finalists that it holds for."""
    whose: dict[str, list[str]] = {}
    for number, options in there.items():
        for why in options.untried:
            whose.setdefault(why, []).append(f"#{number}")
    everyone = len(there)
    return [
        f"Not tried{'' if len(numbers) == everyone else f' on {joined(numbers)}'}: {why}."
        for why, numbers in whose.items()
    ]
