"""Limits as text with units: `latency_p90 <= 5 ms`, `accuracy >= teacher - 1 pt absolute`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...profiles.errors import UserError, at_place
from ...profiles.text.named import refused_at, short_line
from ...profiles.text.units import parse_quantity
from ...profiles.words import one_line
from .evaluation import Limit
from .metrics import AMOUNTS, HARDWARE_METRICS, METRICS, QUALITIES, SIDE_EFFECTS

# What users write -> how the record stores it.
SHORT_NAMES = {
    "latency": "latency_ms",
    "latency_p90": "latency_p90_ms",
    "latency_p99": "latency_p99_ms",
    "latency_min": "latency_min_ms",
    "size": "size_bytes",
    "memory": "memory_bytes",
    "load": "load_ms",
    "first_inference": "first_inference_ms",
    "compressed_size": "compressed_bytes",
    "memory_load": "memory_load_bytes",
    "memory_first": "memory_first_bytes",
    "memory_steady": "memory_steady_bytes",
    "throughput": "throughput_per_s",
    "energy": "energy_mj",
    "cost": "cost_per_million_usd",
}
TAKEN_NAMES = frozenset({*SHORT_NAMES, *SHORT_NAMES.values(), *HARDWARE_METRICS})
"""Names that no workload's own metric can have: they are those of something measured."""
MOST_WEIGHT = 1e6
"""Of a preference."""
_DIMENSIONS = {
    "ms": "time_ms",
    "bytes": "bytes",
    "share": "share",
    "count": "count",
    "dB": "decibels",
    "/s": "rate",
    "mJ": "energy_mj",
    "USD": "usd",
    "": "number",
}
_NUMBER = r"[0-9]+\.?[0-9]*|\.[0-9]+"
_FORMS = (
    "METRIC <= NUMBER UNIT, METRIC >= teacher - N pt absolute, METRIC >= teacher - N % relative, "
    "METRIC <= N % of teacher, METRIC <= teacher + NUMBER UNIT"
)
_POINTS = "N pt, or N pt absolute: points between the teacher's share and the candidate's, say 3 pt absolute"


@dataclass(frozen=True, kw_only=True)
class LimitSpec:
    """A limit as written, before the teacher is known.

    Either `bound` is given, or `teacher_factor` and `teacher_offset`: bound = factor x teacher + offset.
    """

    text: str
    metric: str
    upper: bool
    bound: float | None = None
    teacher_factor: float = 1.0
    teacher_offset: float = 0.0

    @property
    def relative(self) -> bool:
        """Whether the bound depends on the teacher's own value."""
        return self.bound is None


def metric_name(text: str, quality: str) -> str:
    """The record's name of a metric as users write it.

    Raises:
        UserError: there is no such metric; suggests the nearest.
    """
    name = SHORT_NAMES.get(text, text)
    if name in METRICS or name == quality:
        if name in QUALITIES and name != quality:
            raise UserError(f"the workload's metric is not {name}", found=text, accepted=quality)
        return name
    known = [quality, *SHORT_NAMES, "delegated", "parameters", "macs", *SIDE_EFFECTS]
    near = difflib.get_close_matches(text, known, n=1)
    raise UserError(
        f"unknown metric {one_line(repr(text), 60)}",
        accepted=", ".join(known),
        remedy=f"did you mean {near[0]!r}?" if near else "",
    )


def parse_limit(text: str, quality: str) -> LimitSpec:
    """Read one limit. `quality` is the name of the workload's metric.

    Raises:
        UserError: it cannot be read, has an unknown metric or unit, or can never be met.
    """
    with refused_at(""):
        short_line(text.strip())
    match = re.fullmatch(r"\s*([A-Za-z_][\w]*)\s*(<=|>=|<|>)\s*([^=\s].*?)\s*", text)
    if not match:
        raise UserError("cannot read this limit", found=one_line(repr(text), 100), accepted=_FORMS)
    metric, upper, right = metric_name(match[1], quality), match[2].startswith("<"), match[3]
    if metric in SIDE_EFFECTS:
        return _against_teacher(text, metric, upper, right)
    if metric in HARDWARE_METRICS and METRICS[metric].higher_is_better:
        _refuse_the_wrong_way(text, metric, upper)
    if "teacher" in right:
        return _relative(text, metric, upper, right)
    bound = _amount(text, metric, right)
    spec = LimitSpec(text=text, metric=metric, upper=upper, bound=bound)
    _check_possible(spec, bound)
    return spec


def _against_teacher(text: str, metric: str, upper: bool, right: str) -> LimitSpec:
    """A limit on a comparison with the teacher; a difference of shares is in points, and may be negative."""
    info = METRICS[metric]
    if "teacher" in right:
        higher = f"{metric} >= 97 %" if info.unit == "share" else f"{metric} >= 0.97"
        example = higher if info.higher_is_better else f"{metric} <= 3 pt absolute"
        raise UserError(
            f"{metric} is a comparison with the teacher already", found=repr(text), accepted=repr(example)
        )
    _refuse_the_wrong_way(text, metric, upper)
    if info.points:
        if re.search(r"%|percent|relative", right):
            raise UserError("a drop in per cent can be meant in two ways", found=repr(text), accepted=_POINTS)
        right = re.sub(r"\s*absolute$", "", right)
    bound = _amount(text, metric, right)
    spec = LimitSpec(text=text, metric=metric, upper=upper, bound=bound)
    _check_possible(spec, bound)
    return spec


def _refuse_the_wrong_way(text: str, metric: str, upper: bool) -> None:
    """A limit that only keeps the better ones out."""
    higher = METRICS[metric].higher_is_better
    if upper == higher:
        better, sign = ("higher", ">=") if higher else ("lower", "<=")
        short = next((name for name, whole in SHORT_NAMES.items() if whole == metric), metric)
        raise UserError(f"{short} is better {better}", found=repr(text), accepted=f"{short} {sign} ...")


def _amount(text: str, metric: str, right: str) -> float:
    """A quantity in the metric's own unit."""
    try:
        return parse_quantity(right, dimension_of(metric))
    except UserError as error:
        raise UserError(
            f"in the limit {one_line(repr(text), 100)}: {error.problem}",
            found=error.found,
            accepted=error.accepted,
            remedy=error.remedy,
        ) from None


def parse_reference(values: Mapping[str, str | float], quality: str) -> dict[str, float]:
    """Values that are of no use any more, by the record's names of their metrics.

    Raises:
        UserError: an unknown metric, or a text that is no quantity of it.
    """
    found: dict[str, float] = {}
    for text, value in values.items():
        with at_place(f"reference.{text}"):
            metric = metric_name(text, quality)
            if metric in found:
                raise UserError("this metric is named twice", found=metric)
            written = value if isinstance(value, str) else repr(value).removesuffix(".0")
            found[metric] = parse_quantity(written, dimension_of(metric))
            _check_reference(metric, found[metric])
    return found


def _check_reference(metric: str, value: float) -> None:
    unit = METRICS[metric].unit if metric in METRICS else ""
    if unit in AMOUNTS and value <= 0:
        raise UserError("no model has such a value", found=f"{value:g}", accepted="a value above zero")
    if unit == "share" and not -1 <= value <= 1:
        raise UserError("no model has such a value", found=f"{value:g}", accepted="between 0 % and 100 %")


def dimension_of(metric: str) -> str:
    """A metric of the user's own is a number of any size."""
    return _DIMENSIONS[METRICS[metric].unit if metric in METRICS else ""]


def _relative(text: str, metric: str, upper: bool, right: str) -> LimitSpec:
    share = re.fullmatch(rf"({_NUMBER})\s*%\s*of\s+teacher", right)
    if share:
        factor = parse_quantity(f"{share[1]} %", "share")
        return _not_hopeless(LimitSpec(text=text, metric=metric, upper=upper, teacher_factor=factor))
    match = re.fullmatch(r"teacher(?:\s*([+-])\s*(.+?)\s*(absolute|relative)?)?", right)
    if not match:
        raise UserError("cannot read the right side of this limit", found=repr(text), accepted=_FORMS)
    sign, amount, kind = match.groups()
    if sign is None:
        return LimitSpec(text=text, metric=metric, upper=upper)
    change = _change(text, metric, amount, kind) * (1 if sign == "+" else -1)
    if kind == "relative":
        return _not_hopeless(LimitSpec(text=text, metric=metric, upper=upper, teacher_factor=1 + change))
    return _not_hopeless(LimitSpec(text=text, metric=metric, upper=upper, teacher_offset=change))


def _not_hopeless(spec: LimitSpec) -> LimitSpec:
    """A limit relative to the teacher, refused where no value of the teacher's leaves anything to meet."""
    unit = METRICS[spec.metric].unit if spec.metric in METRICS else ""
    nothing_left = unit in AMOUNTS and spec.upper and spec.teacher_factor <= 0
    beyond = unit == "share" and abs(spec.teacher_offset) > 1
    if nothing_left or beyond:
        raise UserError(
            "no model can meet this limit"
            if nothing_left or spec.teacher_offset > 0
            else "this limit says nothing",
            found=one_line(repr(spec.text), 100),
            accepted="up to 100 pt from the teacher" if beyond else "a share of the teacher's above zero",
        )
    return spec


def _change(text: str, metric: str, amount: str, kind: str | None) -> float:
    """What is added to the teacher's value, or with `relative` the share of it."""
    match = re.fullmatch(rf"({_NUMBER})\s*(%|pt|points?)?", amount)
    unit = match[2] if match else None
    if unit == "%" and kind is None:
        raise UserError(
            "a percentage of the teacher's value can be meant in two ways",
            found=repr(text),
            accepted="'1 pt absolute' (98 % to 97 %) or '1 % relative' (98 % to 97.02 %)",
        )
    needs_unit = kind == "relative" or metric == "accuracy"  # `teacher - 1` could be a point or all of it
    if needs_unit and unit is None:
        raise UserError("cannot read the right side of this limit", found=repr(text), accepted=_FORMS)
    if match and kind == "relative":
        return parse_quantity(f"{match[1]} %", "share")
    return _amount(text, metric, amount)


def _check_possible(spec: LimitSpec, bound: float) -> None:
    unit = METRICS[spec.metric].unit if spec.metric in METRICS else ""
    if spec.metric in METRICS and METRICS[spec.metric].points:
        if not -1 <= bound <= 1:
            problem = "this limit says nothing" if bound > 1 else "no model can meet this limit"
            raise UserError(problem, found=repr(spec.text), accepted="between -100 pt and 100 pt")
        return
    if unit in AMOUNTS and (bound <= 0 if spec.upper else bound < 0):
        raise UserError("no model can meet this limit", found=repr(spec.text), accepted="a bound above zero")
    if unit == "share" and not 0 <= bound <= 1:
        raise UserError(
            "no model can meet this limit" if not spec.upper else "this limit says nothing",
            found=repr(spec.text),
            accepted="a share between 0 % and 100 %",
        )


def resolve(spec: LimitSpec, teacher: Mapping[str, float]) -> Limit:
    """The limit with its bound; `teacher` has the uncompressed teacher's value of each metric.

    Raises:
        UserError: the bound depends on a value of the teacher that is not known, or cannot be met.
    """
    if spec.bound is not None:
        return Limit(text=spec.text, metric=spec.metric, upper=spec.upper, bound=spec.bound)
    if spec.metric not in teacher:
        raise UserError(
            "this limit needs the teacher's own value, which was not measured",
            found=repr(spec.text),
            accepted=", ".join(sorted(teacher)),
        )
    bound = spec.teacher_factor * teacher[spec.metric] + spec.teacher_offset
    _check_possible(spec, bound)
    return Limit(text=spec.text, metric=spec.metric, upper=spec.upper, bound=bound)


def check_consistent(specs: tuple[LimitSpec, ...]) -> None:
    """Refuse two limits that exclude each other (latency <= 2 ms and latency >= 5 ms).

    Raises:
        UserError: no value lies between them.
    """
    for low in (s for s in specs if not s.upper and s.bound is not None):
        for high in (s for s in specs if s.upper and s.metric == low.metric and s.bound is not None):
            if (low.bound or 0.0) > (high.bound or 0.0):
                raise UserError(
                    "these two limits exclude each other", found=f"{low.text!r} and {high.text!r}"
                )
