"""New limits and preferences, as text, for a study that is already there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..profiles.errors import UserError
from .constraints import check_consistent, metric_name, parse_limit, resolve
from .evaluation import Limit, StudyRecord
from .ranking import complete_trials, known_metrics


def read_limits(record: StudyRecord, texts: Sequence[str]) -> tuple[Limit, ...]:
    """Limits as in a study file; those relative to the teacher use what the study measured of it.

    Raises:
        UserError: one cannot be read, or two exclude each other.
    """
    specs = tuple(parse_limit(text, record.quality) for text in texts)
    check_consistent(specs)
    teacher = [trial for trial in complete_trials(record) if trial.evaluation.baseline][:1]
    on_validation = {n: q.value for t in teacher for n, q in t.evaluation.metrics.items()}
    on_test = {n: q.value for t in teacher for n, q in known_metrics(record, t.number)[0].items()}
    limits = []
    for spec in specs:
        limit = resolve(spec, on_validation)
        if spec.relative and on_test[spec.metric] != on_validation[spec.metric]:
            limit = replace(limit, bound_on_test=resolve(spec, on_test).bound)
        limits.append(limit)
    return tuple(limits)


def read_weights(record: StudyRecord, texts: Sequence[str]) -> dict[str, float]:
    """Preferences written as NAME=WEIGHT, by metric name.

    Raises:
        UserError: not of that form, or the weight is no number.
    """
    weights = {}
    for text in texts:
        name, equals, weight = text.partition("=")
        try:
            if not equals:
                raise ValueError
            weights[metric_name(name.strip(), record.quality)] = float(weight)
        except ValueError:
            accepted = "NAME=WEIGHT, say latency=2"
            raise UserError("cannot read this preference", found=repr(text), accepted=accepted) from None
    return weights
