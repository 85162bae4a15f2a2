"""Numbers and candidates in words, the same in the terminal and on every page."""

from __future__ import annotations

from dataclasses import replace

from ..record.estimated import COVERED
from ..record.evaluation import Quantity, StudyRecord
from ..record.metrics import HARDWARE_METRICS, MetricInfo, metric_info
from ..record.samples import difference
from .known import trial_of
from .misses import Change, NearestMisses, Relaxation

TAKEN_ON_DEVICE = HARDWARE_METRICS - {"size_bytes", "compressed_bytes", "parameters", "macs"}
"""What only a device shows, so that it is said where nobody has asked one."""
IN_CASES = f"in {100 * COVERED:.0f} % of cases"
"""How often the truth lies within the range of an estimate."""


def name_of(record: StudyRecord, number: int) -> str:
    """ "#41 (width=0.5, int8, ort)"."""
    return f"#{number} ({trial_of(record, number).evaluation.candidate.title})"


def speed_words(ratio: Quantity) -> str:
    """ "3.2 times as fast as (95 % interval 3.1 to 3.3)"; slower candidates are said to be slower. Of
    estimates: "expected to be 3.2 times as fast as (2.1 to 4.9 in 90 % of cases)"."""
    if ratio.is_estimate:
        return _expected_speed(ratio)
    if ratio.low is not None and ratio.high is not None and ratio.low <= 1 <= ratio.high:
        return f"as fast as (95 % interval {ratio.low:.3g} to {ratio.high:.3g} times)"
    if ratio.value < 1:
        low, high = (None if end is None else 1 / end for end in (ratio.high, ratio.low))
        return f"{1 / ratio.value:.3g} times slower than{_interval(low, high)}"
    return f"{ratio.value:.3g} times as fast as{_interval(ratio.low, ratio.high)}"


def speed_range(ratio: Quantity) -> str:
    """ "2.1 to 4.9 in 90 % of cases"."""
    low, high = ratio.ends
    return f"{low:.3g} to {high:.3g} {IN_CASES}"


def _expected_speed(ratio: Quantity) -> str:
    low, high = ratio.ends
    if low <= 1 <= high:
        return f"not known to be faster or slower than ({low:.3g} to {high:.3g} times as fast {IN_CASES})"
    if ratio.value < 1:
        inverse = replace(ratio, value=1 / ratio.value, low=1 / high, high=1 / low)
        return f"expected to be {inverse.value:.3g} times slower than ({speed_range(inverse)})"
    return f"expected to be {ratio.value:.3g} times as fast as ({speed_range(ratio)})"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95 % interval {low:.3g} to {high:.3g})"


def size_words(ratio: float) -> str:
    """ "4 times smaller than"; within half a percent it is the same size."""
    if abs(ratio - 1) < 0.005:
        return "the same size as"
    return f"{ratio:.3g} times smaller than" if ratio > 1 else f"{1 / ratio:.3g} times larger than"


def quantity_text(metric: str, quantity: Quantity) -> str:
    """ "1.23 ms (1.2 to 1.26)", the unit once where it is the same; "1.23 ms (0.9 to 1.7, estimated)"."""
    estimated = ", estimated" if quantity.is_estimate and metric in TAKEN_ON_DEVICE else ""
    return with_interval(metric_info(metric), quantity, estimated)


def with_interval(info: MetricInfo, quantity: Quantity, estimated: str = "") -> str:
    """The same of what is no metric of a candidate, but has a unit."""
    value = info.format(quantity.value)
    if quantity.low is None or quantity.high is None or quantity.low == quantity.high:
        return f"{value} (estimated)" if estimated else value
    low, high = info.format(quantity.low), info.format(quantity.high)
    unit = value.rpartition(" ")[2]
    if " " in value and all(text.endswith(" " + unit) for text in (low, high)):
        low, high = (text.removesuffix(" " + unit) for text in (low, high))
    return f"{value} ({low} to {high}{estimated})"


def miss_lines(record: StudyRecord, misses: NearestMisses) -> list[str]:
    """One sentence per way to relax the limits."""
    lines = [relaxation_text(record, relaxation) for relaxation in misses.alone]
    if misses.joint is not None:
        lines.append(relaxation_text(record, misses.joint))
    return lines


def relaxation_text(record: StudyRecord, relaxation: Relaxation) -> str:
    """ "Relaxing 'latency <= 5 ms' alone by 0.4 ms to 5.4 ms admits #7 (…)."."""
    moves = " together with ".join(_move(change) for change in relaxation.changes)
    alone = " alone" if len(relaxation.changes) == 1 else ""
    admits = "admits" if relaxation.certain else "may admit"
    doubt = "" if relaxation.certain else "; it was never trained, so its quality is not known"
    return f"Relaxing {moves}{alone} {admits} {name_of(record, relaxation.number)}{doubt}."


def _move(change: Change) -> str:
    metric = change.limit.metric
    amount = difference_text(metric, change.amount)
    return f"{change.limit.text!r} by {amount} to {metric_info(metric).format(change.bound)}"


def difference_text(metric: str, amount: float) -> str:
    """A difference between two values of a metric."""
    return metric_info(metric).difference(amount)


def gap_text(metric: str, a: Quantity, b: Quantity) -> str:
    """ "0.24 lower (0.19 to 0.29 lower, paired on the same 200 samples)"; the bracket only for pairs."""
    change = a.value - b.value
    said = f"{difference_text(metric, abs(change))} {_direction(change)}"
    gap = difference(a, b)
    if gap is None:
        return said
    ends = sorted(gap.ends, key=abs)
    one, two = (difference_text(metric, abs(end)) for end in ends)
    if ends[0] * ends[1] > 0:
        return f"{said} ({one} to {two} {_direction(change)}, {gap.how})"
    low, high = (difference_text(metric, abs(end)) for end in gap.ends)
    return f"{said} ({low} lower to {high} higher, {gap.how})"


def _direction(change: float) -> str:
    return "higher" if change > 0 else "lower"


def gain_text(record: StudyRecord, gain: Quantity) -> str:
    """ "0.6 pt better than the same training without the teacher (95 % interval -0.4 to 1.6 pt; ...)"."""
    amount = difference_text(record.quality, abs(gain.value))
    word = "better" if gain.value > 0 else "worse"
    against = "the same training without the teacher"
    start = f"{amount} {word} than {against}" if gain.value else f"as good as {against}"
    interval = ""
    if gain.low is not None and gain.high is not None:
        low, high = (_signed(record, end) for end in (gain.low, gain.high))
        unit = low.rpartition(" ")[2]
        low = low.removesuffix(f" {unit}") if high.endswith(f" {unit}") else low
        interval = f"95 % interval {low} to {high}; "
    return f"{start} ({interval}{gain.how}, on validation in PyTorch)"


def _signed(record: StudyRecord, value: float) -> str:
    text = difference_text(record.quality, round(abs(value), 4))
    return f"-{text}" if value < 0 else text
