"""What to ship, how much faster and smaller than the strongest simple choice, and how sure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import exp, sqrt

from ..record.evaluation import Quantity, StudyRecord
from ..record.metrics import metric_info
from .as_run import as_run_lines
from .caveats import ended_line, unfinished_line, warnings
from .estimated import headline_of, open_lines, others_open, ratio_of_estimates, undecided
from .hot import hot_lines
from .known import known_metrics
from .misses import NearestMisses, nearest_misses
from .noise import how_sure, ties_of
from .pareto import overlap
from .ranking import (
    TRIFLE,
    Ranked,
    Ranking,
    comparable,
    latency_metric,
    strongest_simple_choice,
    worth_it,
)
from .sentences import gap_text, miss_lines, name_of, quantity_text, size_words, speed_words

MET, NOT_MET, NOTHING_USABLE, DO_NOTHING = "met", "not_met", "nothing_usable", "do_nothing"
UNDECIDED = "undecided"
"""Estimates meet a limit where the whole of their range does; here a limit lies in the range."""
EXIT_CODES = {MET: 0, DO_NOTHING: 0, NOT_MET: 2, UNDECIDED: 2, NOTHING_USABLE: 3}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of a study. `recommended` and `baseline` are trial numbers.

    `speedup` and `size_ratio` compare the recommended candidate with the strongest simple choice: above 1
    is faster and smaller. `sure` says in sentences how sure the answer is; `ties` are the candidates that
    cannot be told apart from the recommended one. `misses` is there where no candidate meets the limits.
    """

    status: str
    headline: str
    lines: tuple[str, ...]
    recommended: int | None = None
    baseline: int | None = None
    speedup: Quantity | None = None
    size_ratio: float | None = None
    sure: tuple[str, ...] = ()
    ties: tuple[int, ...] = ()
    misses: NearestMisses | None = None
    provisional: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 the limits are met, 2 not met (or not decided) but the nearest is known, 3 nothing usable."""
        return EXIT_CODES[self.status]


def verdict(record: StudyRecord, ranking: Ranking) -> Verdict:
    """The answer to the question whose limits and weights the ranking has applied."""
    answer = _answer(record, ranking)
    sure = (*filter(None, (ended_line(record),)), *answer.sure, *hot_lines(record, ranking.limits))
    warned = warnings(record, answer.recommended)
    return replace(answer, provisional=unfinished_line(record), warnings=warned, sure=sure)


def _answer(record: StudyRecord, ranking: Ranking) -> Verdict:
    simple = strongest_simple_choice(record, ranking.limits)
    if not ranking.entries:
        return _nothing_usable(record, ranking)
    if ranking.best is None:
        return _not_met(record, ranking, simple)
    chosen = recommended(record, ranking, simple)
    answer = _met(record, ranking, chosen, simple)
    if simple == chosen.number and not beaten_by(record, ranking, simple):
        return replace(answer, status=DO_NOTHING, headline=_nothing_better(record, simple))
    return answer


def _nothing_better(record: StudyRecord, simple: int) -> str:
    if record.estimated:
        return f"Nothing is known to be better than {name_of(record, simple)}, by these estimates."
    return (
        f"{'Nothing better so far' if unfinished_line(record) else 'Do nothing'}: "
        f"{name_of(record, simple)} is as good as anything found, within error or {100 * (TRIFLE - 1):.0f} %."
    )


def recommended(record: StudyRecord, ranking: Ranking, simple: int | None) -> Ranked:
    """The first in the ranking; the strongest simple choice instead where the first is not worth it.

    `ranking` must hold a candidate that meets every limit.
    """
    best = ranking.best
    assert best is not None
    entry = ranking.of(simple) if simple is not None else None
    if entry is not None and entry.feasible and not worth_it(record, best, entry):
        return entry
    return best


def beaten_by(record: StudyRecord, ranking: Ranking, simple: int) -> tuple[int, ...]:
    """Candidates within the limits that are worth having in place of `simple` for some objective."""
    entry = ranking.of(simple)
    if entry is None:
        return ()
    return tuple(e.number for e in ranking.entries if e.feasible and worth_it(record, e, entry))


def _nothing_usable(record: StudyRecord, ranking: Ranking) -> Verdict:
    counts = Counter(trial.evaluation.outcome.value for trial in record.trials)
    reasons = Counter(t.evaluation.reason or t.evaluation.cause for t in record.trials)
    lines = [
        ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()) or "No trial was run."
    ]
    lines += [f"{count} times: {reason}" for reason, count in reasons.most_common(3) if reason]
    misses = nearest_misses(record, ranking.limits)
    lines += miss_lines(record, misses)
    return Verdict(
        status=NOTHING_USABLE,
        headline="Nothing usable: no candidate was built, trained and scored to the end.",
        lines=tuple(lines),
        misses=misses,
    )


def _not_met(record: StudyRecord, ranking: Ranking, simple: int | None) -> Verdict:
    misses = nearest_misses(record, ranking.limits)
    open_one = undecided(ranking)
    nearest = open_one or ranking.entries[0]
    return Verdict(
        status=NOT_MET if open_one is None else UNDECIDED,
        headline=_headline(record, ranking, nearest.number),
        lines=(
            *open_lines(ranking, nearest),
            *as_run_lines(record, nearest.number),
            *number_lines(record, nearest),
            *miss_lines(record, misses),
        ),
        recommended=nearest.number,
        baseline=simple,
        speedup=speedup(record, nearest.number, simple),
        size_ratio=size_ratio(record, nearest.number, simple),
        sure=how_sure(record, ranking, nearest),
        misses=misses,
    )


def _headline(record: StudyRecord, ranking: Ranking, number: int) -> str:
    if record.estimated:
        return headline_of(record, ranking, number)
    if ranking.best is not None:
        return f"Ship {name_of(record, number)}."
    return f"No candidate meets every limit. The nearest is {name_of(record, number)}."


def _met(record: StudyRecord, ranking: Ranking, chosen: Ranked, simple: int | None) -> Verdict:
    faster = speedup(record, chosen.number, simple)
    smaller = size_ratio(record, chosen.number, simple)
    return Verdict(
        status=MET,
        headline=_headline(record, ranking, chosen.number),
        lines=(
            *comparison_lines(record, chosen, simple, faster, smaller),
            *as_run_lines(record, chosen.number),
            *quality_lines(record, ranking, chosen, simple),
            *number_lines(record, chosen),
            *filter(None, (others_open(ranking),)),
        ),
        recommended=chosen.number,
        baseline=simple,
        speedup=faster,
        size_ratio=smaller,
        sure=how_sure(record, ranking, chosen),
        ties=ties_of(record, ranking, chosen),
    )


def speedup(record: StudyRecord, number: int, simple: int | None) -> Quantity | None:
    """How many times faster than the simple choice; above 1 is faster. None where it is not known.

    The ratio measured in the same rounds is used where there is one; it is far tighter than the ratio of
    two latencies taken apart.
    """
    if simple is None or simple == number:
        return None
    finalist = next((f for f in record.finalists if f.number == number), None)
    if finalist is not None and finalist.ratio_to_baseline is not None and record.baseline == simple:
        return _inverse(finalist.ratio_to_baseline)
    metric = latency_metric(record)
    mine, theirs = (known_metrics(record, n)[0].get(metric) for n in (number, simple))
    if mine is None or theirs is None or min(mine.value, theirs.value) <= 0:
        return None
    return quotient(theirs, mine)


def _inverse(ratio: Quantity) -> Quantity:
    low = None if ratio.high is None else 1 / ratio.high
    high = None if ratio.low is None else 1 / ratio.low
    return replace(
        ratio, value=1 / ratio.value, low=low, high=high, how=ratio.how or "paired in the same rounds"
    )


_NOTHING_KNOWN = 100.0  # a relative error beyond which its exponential is no number any more


def quotient(above: Quantity, below: Quantity) -> Quantity:
    """Ratio of two separate measurements; relative errors are added in squares."""
    value = above.value / below.value
    if above.is_estimate or below.is_estimate:
        return ratio_of_estimates(above, below)
    error = min(sqrt(sum(_relative_error(q) ** 2 for q in (above, below))), _NOTHING_KNOWN)
    return Quantity(
        value=value,
        low=value * exp(-error) if error else None,
        high=value * exp(error) if error else None,
        how="ratio of two separate measurements",
    )


def _relative_error(quantity: Quantity) -> float:
    if quantity.low is None or quantity.high is None or not quantity.value:
        return 0.0
    return (quantity.high - quantity.low) / 2 / abs(quantity.value)


def size_ratio(record: StudyRecord, number: int, simple: int | None) -> float | None:
    """How many times smaller than the simple choice; above 1 is smaller."""
    if simple is None or number == simple:
        return None
    mine, theirs = (known_metrics(record, n)[0].get("size_bytes") for n in (number, simple))
    return None if mine is None or theirs is None or not mine.value else theirs.value / mine.value


def comparison_lines(
    record: StudyRecord, chosen: Ranked, simple: int | None, faster: Quantity | None, smaller: float | None
) -> list[str]:
    """How the chosen one compares with the strongest simple choice, in a sentence."""
    if simple is None:
        return ["No uncompressed teacher was measured, so there is no simple choice to compare with."]
    untried = untried_lines(record)
    if simple == chosen.number:
        itself = "It is the strongest simple choice itself: the teacher, not compressed any further."
        return [itself, *untried]
    parts = []
    if faster is not None:
        parts.append(speed_words(faster))
    if smaller is not None:
        parts.append(size_words(smaller))
    if not parts:
        return untried
    said = " and ".join(parts)
    of_those = "the strongest simple choice" + (" that was tried" if untried else "")
    return [f"{said[0].upper()}{said[1:]} {of_those}, {name_of(record, simple)}.", *untried]


def untried_lines(record: StudyRecord) -> list[str]:
    """The simple choices that were not evaluated: one of them may be stronger."""
    return [f"Simple choices untried: {'; '.join(record.untried)}."] if record.untried else []


def quality_lines(record: StudyRecord, ranking: Ranking, chosen: Ranked, simple: int | None) -> list[str]:
    """What the chosen one gives up or gains in quality against the strongest simple choice."""
    other = ranking.of(simple) if simple is not None else None
    if other is None or other.number == chosen.number:
        return []
    mine, theirs = (metrics.get(record.quality) for metrics in comparable(record, chosen, other))
    if mine is None or theirs is None:
        return []
    title, change = metric_info(record.quality).title, mine.value - theirs.value
    if change == 0:
        return [f"{title} is the same."]
    error = "within" if overlap(mine, theirs) else "beyond"
    lines = [f"{title} is {gap_text(record.quality, mine, theirs)}, {error} error."]
    objective = next((o for o in record.objectives if o.metric == record.quality), None)
    worse = objective is not None and (change < 0) == objective.higher_is_better
    if worse and error == "beyond" and all(limit.metric != record.quality for limit in ranking.limits):
        sign = ">=" if objective is not None and objective.higher_is_better else "<="
        lines.append(
            f"No limit on {title.lower()} is set; to keep such losses out, add one, "
            f"say `{record.quality} {sign} teacher`, to the study file or to `choose --where`."
        )
    return lines


def number_lines(record: StudyRecord, entry: Ranked) -> list[str]:
    """The objectives' values with their intervals."""
    return [
        f"{metric_info(o.metric).title}: {quantity_text(o.metric, entry.metrics[o.metric])}"
        + (f" on the {entry.source} split" if o.metric == record.quality else "")
        for o in record.objectives
        if o.metric in entry.metrics
    ]
