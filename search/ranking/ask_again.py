"""New limits and preferences, as text, for a study that is already there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...profiles.errors import UserError, at_place
from ...profiles.words import one_line
from ..record.evaluation import Limit, StudyRecord
from ..record.limits import MOST_WEIGHT, LimitSpec, check_consistent, metric_name, parse_limit, resolve
from .known import TEST, reference_quality, reference_trial, searched_metrics

_OF_DEVICE = re.compile(r"([^<>=]*):([^<>=:]*(?:<=|>=|<|>).*)", re.DOTALL)
_WEIGHT = re.compile(r"[0-9]{1,9}(\.[0-9]{0,17})?|\.[0-9]{1,17}")


def read_limits(record: StudyRecord, texts: Sequence[str]) -> tuple[Limit, ...]:
    """Limits as in a study file; those relative to the teacher use what the study measured of it.

    Raises:
        UserError: one cannot be read, or two exclude each other.
    """
    with at_place("--where"):
        specs = tuple(parse_limit(text, record.quality) for text in texts)
        check_consistent(specs)
        return tuple(_resolved(record, spec) for spec in specs)


def of_device(text: str) -> tuple[str, str]:
    """The device that a limit is for ("" for all), and the limit: "pi: latency <= 5 ms" is for `pi`."""
    match = _OF_DEVICE.fullmatch(text)
    return (match[1].strip(), match[2].strip()) if match and match[1].strip() else ("", text)


def read_limits_on(record: StudyRecord, everywhere: Sequence[str], here: Sequence[str]) -> tuple[Limit, ...]:
    """Limits for all devices and for this one alone, which go before the former on the same metric and side.

    Raises:
        UserError: one cannot be read, or two exclude each other.
    """
    own = read_limits(record, here)
    taken = {(limit.metric, limit.upper) for limit in own}
    with at_place("--where"):
        left = [text for text in everywhere if _side(text, record) not in taken]
    return read_limits(record, [*left, *here])


def read_limits_here(record: StudyRecord, texts: Sequence[str]) -> tuple[Limit, ...]:
    """Limits for this study's device: for all ("latency <= 5 ms"), or for it by name ("pi: latency <= 4 ms").

    Raises:
        UserError: one is for another device, cannot be read, or two exclude each other.
    """
    parts = [of_device(text) for text in texts]
    for (name, _), text in zip(parts, texts, strict=True):
        if name not in ("", record.profile):
            raise UserError(
                f"a limit is for {name!r}, which is another device than this run's",
                place="--where",
                found=one_line(text, 80),
                accepted=f"{record.profile}: LIMIT, or LIMIT alone",
                remedy=f"--devices {record.profile},{name} asks for both",
            )
    everywhere, own = ([limit for name, limit in parts if bool(name) is here] for here in (False, True))
    return read_limits_on(record, everywhere, own)


def _side(text: str, record: StudyRecord) -> tuple[str, bool]:
    spec = parse_limit(text, record.quality)
    return spec.metric, spec.upper


def _resolved(record: StudyRecord, spec: LimitSpec) -> Limit:
    teacher = reference_trial(record)
    values = {} if teacher is None else {n: q.value for n, q in searched_metrics(teacher).items()}
    limit = resolve(spec, values)
    on_test = _quality_on_test(record)
    if not spec.relative or spec.metric != record.quality or on_test is None:
        return limit
    return replace(limit, bound_on_test=resolve(spec, {**values, record.quality: on_test}).bound)


def _quality_on_test(record: StudyRecord) -> float | None:
    """The teacher's quality on the test split, if it was scored there or a limit of the study tells it."""
    scored = reference_quality(record, TEST)
    if scored is not None:
        return scored.value
    for limit in record.limits:
        if limit.metric == record.quality and limit.bound_on_test is not None:
            spec = parse_limit(limit.text, record.quality)
            if spec.relative and spec.teacher_factor:
                return (limit.bound_on_test - spec.teacher_offset) / spec.teacher_factor
    return None


def read_weights(record: StudyRecord, texts: Sequence[str]) -> dict[str, float]:
    """Preferences written as NAME=WEIGHT, by metric name.

    Raises:
        UserError: not of that form, or the weight is no number.
    """
    weights: dict[str, float] = {}
    for text in texts:
        name, equals, number = (part.strip() for part in text.partition("="))
        if not equals or not _WEIGHT.fullmatch(number) or float(number) > MOST_WEIGHT:
            raise UserError(
                "cannot read this preference",
                place="--prefer",
                found=one_line(repr(text), 80),
                accepted=f"NAME=WEIGHT with a weight between 0 and {MOST_WEIGHT:g}, say latency=2",
            )
        with at_place("--prefer"):
            metric = metric_name(name, record.quality)
        if metric in weights:
            raise UserError("a preference is named twice", place="--prefer", found=name)
        weights[metric] = float(number)
    return weights
