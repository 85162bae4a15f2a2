"""Why the next best is not the answer, in sentences."""

from __future__ import annotations

from ...profiles.words import joined, listed
from ...search.ranking.ranking import TRIFLE
from ...search.ranking.runner_up import Decided, FleetWhyNot, MetricGap, MissedLimit, Versus, WhyNot
from ...search.ranking.sentences import difference_text, gap_text, name_of, quantity_text
from ...search.record.evaluation import StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.samples import difference
from .views import limit_text

_VERSUS = {
    Versus.BETTER: "better",
    Versus.WORSE: "worse",
    Versus.TIE: "a tie within error",
    Versus.UNKNOWN: "not known of both",
}


def why_not_lines(record: StudyRecord, why: WhyNot) -> list[str]:
    """The reason, and metric by metric how the two compare."""
    head = f"Why not {name_of(record, why.number)}, the next: {_reason(record, why)}."
    return [head, *(f"  {gap_line(gap)}" for gap in why.gaps)]


def fleet_why_not_lines(why: FleetWhyNot, name: str) -> list[str]:
    """The reason, and on each device how the two compare."""
    lines = [f"Why not {name}, the next: {_reason_for_all(why)}."]
    for device, one in why.on.items():
        mine, its = (side.places[device].regret for side in (why.contender, why.answer))
        missed = "; ".join(miss_text(miss) for miss in one.missed)
        told = f"it misses {missed}" if missed else f"its regret is {mine:.3g}, that of the answer {its:.3g}"
        lines.append(f"  {device}: {told}")
        lines += [f"    {gap_line(gap)}" for gap in one.gaps]
    return lines


def _reason(record: StudyRecord, why: WhyNot) -> str:
    if why.decided is Decided.LIMITS:
        missed = joined([miss_text(one) for one in why.missed])
        return f"it misses {missed}" + (
            ", which is farther off than what the answer misses" if why.answer_missed else ""
        )
    if why.decided is Decided.FRONT:
        by = listed((name_of(record, number) for number in why.beaten_by), most=2)
        verb = "beats" if len(why.beaten_by) == 1 else "beat"
        return f"{by} {verb} it: at least as good on every objective, and better beyond error on one"
    return _OTHERWISE[why.decided].format(*why.distances)


_OTHERWISE = {
    Decided.SPLIT: "it was not checked on the test split, as the answer was",
    Decided.DISTANCE: "none beats it, but by the weights it is farther from the ideal than the answer: "
    "{:.3g} against {:.3g}",
    Decided.TIE: "it can be told from the answer on no objective: by the measured values alone it is "
    "farther from the ideal, {:.3g} against {:.3g}",
    Decided.SIMPLE: "it is first in the ranking, but on no objective better beyond error (and, in times, "
    f"sizes and counts, by more than {100 * (TRIFLE - 1):.0f} %) than the answer, a simple choice",
}


def _reason_for_all(why: FleetWhyNot) -> str:
    if why.decided is Decided.LIMITS and why.answer.feasible:
        missing = [device for device, place in why.contender.places.items() if not place.entry.feasible]
        return f"it misses limits on {joined(missing)}"
    if why.decided is Decided.LIMITS:
        return f"it misses limits by more in all, the most on {why.hardest}"
    if why.decided is Decided.REGRET:
        worst = f"its largest regret is {why.contender.worst:.3g}, on {why.hardest}"
        return f"{worst}; that of the answer is {why.answer.worst:.3g}"
    if why.decided is Decided.MEAN:
        return (
            f"its largest regret is the same, its mean {why.contender.mean:.3g} in place of "
            f"{why.answer.mean:.3g}"
        )
    return "it loses no more than the answer on any device, and comes second by its name alone"


def miss_text(missed: MissedLimit) -> str:
    """ "'latency <= 5 ms' by 0.4 ms (5.4 ms (5.3 to 5.5))"."""
    limit = f"'{limit_text(missed.limit)}'"
    if missed.value is None or missed.miss is None:
        return f"{limit}: it was not measured"
    metric = missed.limit.metric
    return f"{limit} by {difference_text(metric, missed.miss)}, with {quantity_text(metric, missed.value)}"


def gap_line(gap: MetricGap) -> str:
    """ "Latency: 1.2 ms (1.1 to 1.3), the answer 1 ms: 1.2 times as much (1.1 to 1.3), worse"."""
    title, standing = metric_info(gap.metric).title, _VERSUS[gap.standing]
    counts = "" if gap.objective else " (no objective)"
    if gap.runner_up is None or gap.answer is None or gap.change is None:
        return f"{title}: {standing}{counts}"
    mine, theirs = (quantity_text(gap.metric, one) for one in (gap.runner_up, gap.answer))
    return f"{title}: {mine}, the answer {theirs}: {_change(gap)}, {standing}{counts}"


def _change(gap: MetricGap) -> str:
    assert gap.change is not None
    assert gap.runner_up is not None
    assert gap.answer is not None
    if not gap.by_factors:
        said = gap_text(gap.metric, gap.runner_up, gap.answer)
        ends = " to ".join(_signed(gap.metric, end) for end in gap.change.ends)
        return said if difference(gap.runner_up, gap.answer) else f"{said} ({ends}, taken apart)"
    low, high = gap.change.low, gap.change.high
    interval = "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"
    return f"{gap.change.value:.3g} times as much{interval}"


def _signed(metric: str, amount: float) -> str:
    return f"{'-' if amount < 0 else '+'}{difference_text(metric, abs(amount))}"
