"""What the luck of the draw is worth: the same artifact calibrated with other samples of the same split."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

from ...profiles.errors import StageError, UnsupportedError
from ..ladder.ladder import LadderSettings
from ..ranking.known import VALIDATION, trial_of
from ..record.evaluation import Evaluation, Quantity, StudyRecord
from ..record.metrics import metric_info
from ..record.stops import Interrupted
from ..stages.chain import Chain, Trace

MOST_CANDIDATES = 3
DRAWS = LadderSettings().draws


def draw_effects(
    record: StudyRecord,
    best_first: Sequence[int],
    chain: Chain,
    draws: int = DRAWS,
    seconds_left: Callable[[], float] = lambda: inf,
) -> dict[int, Quantity]:
    """For the first few trials that are calibrated on a part of the split: how far their quality on
    validation moves between draws of as many samples. One that cannot be compiled from a draw is left out."""
    found: dict[int, Quantity] = {}
    for number in best_first:
        evaluation = trial_of(record, number).evaluation
        samples = _drawn(evaluation, chain)
        if samples and len(found) < MOST_CANDIDATES and seconds_left() > _seconds(evaluation, chain, draws):
            try:
                qualities = _qualities(evaluation, chain, draws)
            except (Interrupted, StageError, UnsupportedError):
                continue
            found[number] = _effect(record.quality, qualities, samples)
    return found


def _seconds(evaluation: Evaluation, chain: Chain, draws: int) -> float:
    """About how long it takes to score so many of them on the device; the first is the artifact itself."""
    latency, device = evaluation.metrics["latency_ms"].value / 1e3, chain.device
    batches = math.ceil(len(chain.models.split(VALIDATION)[0]) / device.deployment.batch)
    return (draws - 1) * (device.effort.pace.open_s + batches * latency)


def _drawn(evaluation: Evaluation, chain: Chain) -> int:
    """The number of samples that a draw takes; 0 where nothing is drawn."""
    candidate, treatment = evaluation.candidate, evaluation.treatment
    if not candidate.precision.decoded.calibrated:
        return 0
    samples = treatment.calibration_samples or candidate.calibration_samples
    return samples if samples < len(chain.models.split("calibration")[0]) else 0


def _qualities(evaluation: Evaluation, chain: Chain, draws: int) -> list[float]:
    qualities = []
    for draw in range(draws):
        treatment = replace(
            evaluation.treatment, calibration_draw=evaluation.treatment.calibration_draw + draw
        )
        compiled = chain.compiled(evaluation.candidate, Trace(), treatment=treatment)
        scored = chain.quality(evaluation.candidate, compiled, Trace(), split="validation")
        qualities.append(scored.value)
    return qualities


def _effect(quality: str, values: Sequence[float], samples: int) -> Quantity:
    info = metric_info(quality)
    return Quantity(
        value=max(values) - min(values),
        how=f"{len(values)} draws of {samples} calibration samples give {info.format(min(values))} to "
        f"{info.format(max(values))} on validation",
    )
