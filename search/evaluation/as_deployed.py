"""A finalist's artifact as it would be run, with all that is known of it so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...profiles.errors import StageError
from ..ranking.known import TEST, limits_on, violations
from ..record.evaluation import Evaluation, Quantity, StudyRecord
from ..record.metrics import metric_info
from ..stages.chain import Chain, Trace
from ..stages.deployment.tries import Deployable
from .side_effect_scores import side_effect_metrics
from .travelling import sampled


@dataclass(frozen=True, kw_only=True)
class AsDeployed:
    """`score` and `side_effects` are on test. `hardware` is what the device shows by this setting, empty
    where it is the study's own: then it is what the trial has. `samples` names what is kept of a few samples
    (empty: nothing)."""

    contender: Deployable
    score: Quantity
    side_effects: Mapping[str, Quantity]
    hardware: Mapping[str, Quantity] = field(default_factory=dict)
    samples: str = ""


def as_searched(evaluation: Evaluation, chain: Chain) -> Deployable:
    """A complete trial's artifact, run as the study runs all."""
    backend = evaluation.candidate.backend
    return Deployable(
        compiled=chain.artifact(evaluation), backend=backend, setting=chain.device.deployment.usual
    )


def scored(evaluation: Evaluation, contender: Deployable, chain: Chain, first: int) -> AsDeployed:
    """Scored on the `first` samples of test (0: all), run as it is meant to be."""
    one, how = contender, contender.setting
    samples = _samples(evaluation, one, chain, first, scoring=True)  # first: they are seen while it is scored
    effects = side_effect_metrics(
        chain.models, chain.device, one.compiled, one.backend, TEST, first=first, setting=how
    )
    candidate = evaluation.candidate
    return AsDeployed(
        contender=one,
        score=chain.quality(candidate, one.compiled, Trace(), split=TEST, first=first, setting=how),
        side_effects=effects,
        samples=samples,
    )


def _samples(
    evaluation: Evaluation, one: Deployable, chain: Chain, first: int, *, scoring: bool = False
) -> str:
    """The key of its samples; empty where nothing is kept, which costs the finalist nothing else."""
    try:
        return sampled(
            chain, evaluation.candidate, one.compiled, first=first, setting=one.setting, scoring=scoring
        ).key
    except StageError as error:
        if error.outside:
            raise
        return ""


def measured(
    evaluation: Evaluation, contender: Deployable, chain: Chain, like: AsDeployed | None, first: int
) -> AsDeployed:
    """With what the device shows of it; not scored again where it computes what another one does (`like`)."""
    found = scored(evaluation, contender, chain, first) if like is None else like
    hardware = chain.measured(evaluation.candidate, contender.compiled, Trace(), setting=contender.setting)
    return AsDeployed(
        contender=contender,
        score=found.score,
        side_effects=found.side_effects,
        hardware=hardware.metrics,
        samples=found.samples if like is None else _samples(evaluation, contender, chain, first),
    )


def known_of(record: StudyRecord, evaluation: Evaluation, one: AsDeployed) -> dict[str, Quantity]:
    """All that is known of it: what the trial has, with what is its own by this setting."""
    return {**evaluation.metrics, **one.hardware, record.quality: one.score, **one.side_effects}


def newly_missed(
    record: StudyRecord,
    metrics: Mapping[str, Quantity],
    before: Mapping[str, Quantity],
    *,
    or_further: bool = False,
) -> str:
    """A limit that these metrics miss and those before hold (`or_further`: or miss by less), with what it
    comes to; empty where there is none."""
    limits = limits_on(metrics, record.limits)
    missed, earlier = violations(limits, metrics, TEST), violations(limits, before, TEST)
    for limit in limits:
        now, then = missed[limit.text], earlier[limit.text]
        if now > 0 and (then <= 0 or (or_further and now > then)):
            value = metric_info(limit.metric).format(metrics[limit.metric].value)
            return f"over the limit {limit.text}: {value}"
    return ""
