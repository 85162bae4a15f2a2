"""What compression did beside the quality metric, each against the teacher, from outputs on the same samples.

Pure functions on arrays: `side_effect_scores` runs the artifacts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import erf, exp, pi, sqrt
from statistics import NormalDist

import numpy as np

from ...profiles.errors import StageError, UserError
from ..record.arrays import Flags, Floats, Integers
from ..record.evaluation import Quantity
from ..record.metrics import metric_info
from ..record.samples import difference
from ..stages.device.interval import bootstrap, score, wilson
from ..workload.metric import Array, Metric, Outputs
from ..workload.task import CLASSES, EMBEDDING, MULTI_LABEL, NUMBERS, SEGMENTATION, TOKENS, Task, as_task
from .likeness import CORRELATION, COSINE, RANKS, correlation, cosine, rank_agreement

BINS, RESAMPLES = 15, 400
WORST, AGREEMENT, CALIBRATION = "worst_class_drop", "agreement", "ece_rise"


_OF_TASK = {
    CLASSES: (WORST, AGREEMENT, CALIBRATION),
    TOKENS: (AGREEMENT,),
    SEGMENTATION: (AGREEMENT,),
    MULTI_LABEL: (AGREEMENT,),
    NUMBERS: (CORRELATION,),
    EMBEDDING: (COSINE, RANKS),
}


def possible(task: Task | str) -> tuple[str, ...]:
    """The side effects that have a meaning for a task; none where it is unknown."""
    return _OF_TASK.get(as_task(task).name, ())


def check_possible(wanted: Collection[str], task: Task | str) -> None:
    """Refuse limits on side effects that a task does not have.

    Raises:
        UserError: there is one.
    """
    there, read = possible(task), as_task(task)
    for name in sorted(set(wanted) - set(there)):
        raise UserError(
            f"a limit is on {name}, which has no meaning for this workload",
            place="constraints",
            found=f"the task is {read.name}" + (f": {read.because}" if read.because else ""),
            accepted=", ".join(there) or "limits on other metrics",
            remedy="remove the limit, or say what the model is for: Workload(task=...)",
        )


def side_effects(candidate: Array, teacher: Array, labels: Array, task: Task | str) -> dict[str, Quantity]:
    """Those side effects that have a meaning for the task, by name, with 95 % intervals, from primary outputs
    on the same samples. Those of classes may be logits or probabilities.
    """
    task = as_task(task)
    if task.name == CLASSES:
        return {
            WORST: worst_class_drop(candidate, teacher, labels),
            AGREEMENT: agreement(candidate, teacher),
            CALIBRATION: ece_rise(candidate, teacher, labels),
        }
    if task.has_classes:
        return {AGREEMENT: agreement_of_places(candidate, teacher, labels, task)}
    if task.name == MULTI_LABEL:
        return {AGREEMENT: agreement_of_labels(candidate, teacher)}
    if task.name == EMBEDDING:
        return {COSINE: cosine(candidate, teacher), RANKS: rank_agreement(candidate, teacher)}
    return {CORRELATION: correlation(candidate, teacher)} if task.name == NUMBERS else {}


def worst_class_drop(candidate: Array, teacher: Array, labels: Array) -> Quantity:
    """Largest drop of accuracy of any class against the teacher, as a share.

    The largest of many noisy drops is biased upwards, and a resampled one even more. So the interval is that
    of all classes at once (Bonferroni): its ends are the largest lower and the largest upper end of theirs.
    """
    ours, theirs = _right(candidate, labels), _right(teacher, labels)
    classes = np.unique(labels)
    error = 0.05 / len(classes)
    drops = {int(c): (theirs - ours)[labels == c] for c in classes}
    ends = [paired_interval(drop, error) for drop in drops.values()]
    worst = max(drops, key=lambda c: float(drops[c].mean()))
    value, of_worst = float(drops[worst].mean()), labels == worst
    how = (
        f"{'' if value > 0 else 'no class loses; '}class {worst}: {_percent(ours[of_worst].mean())} against "
        f"the teacher's {_percent(theirs[of_worst].mean())}, {_samples(int(of_worst.sum()))}; the interval "
        f"holds for all {len(classes)} classes at once"
    )
    low, high = max(low for low, _ in ends), max(high for _, high in ends)
    return Quantity(value=value, low=min(low, value), high=max(high, value), how=how)


def agreement(candidate: Array, teacher: Array) -> Quantity:
    """Share of samples on which both give the same class, with Wilson's interval (1927)."""
    same = candidate.argmax(axis=-1) == teacher.argmax(axis=-1)
    low, high = wilson(float(same.mean()), len(same))
    how = f"same class on {int(same.sum())} of {_samples(len(same))}"
    return Quantity(value=float(same.mean()), low=low, high=high, how=how)


def agreement_of_places(candidate: Array, teacher: Array, labels: Array, task: Task) -> Quantity:
    """Share of the tokens or pixels that both give the same class, of those that have a label. Those of one
    sample depend on each other, so the interval counts samples."""
    same = candidate.argmax(axis=task.class_axis) == teacher.argmax(axis=task.class_axis)
    flat, there = same.reshape(len(same), -1), (labels >= 0).reshape(len(labels), -1)
    share = float(flat[there].mean()) if there.any() else 1.0
    low, high = wilson(share, len(same))
    what = "tokens" if task.name == TOKENS else "pixels"
    how = f"same class on {int(flat[there].sum())} of {int(there.sum())} {what}, {_samples(len(same))}"
    return Quantity(value=share, low=low, high=high, how=how)


def agreement_of_labels(candidate: Array, teacher: Array) -> Quantity:
    """Share of the labels of all samples that both decide alike. Labels of one sample depend on each other,
    so the interval counts samples."""
    same = (_decided(candidate) == _decided(teacher)).reshape(len(teacher), -1).mean(axis=1)
    low, high = wilson(float(same.mean()), len(same))
    return Quantity(value=float(same.mean()), low=low, high=high, how=f"same labels, {_samples(len(same))}")


def ece_rise(candidate: Array, teacher: Array, labels: Array) -> Quantity:
    """Expected calibration error of the candidate minus the teacher's, as a share.

    The error is that of Guo et al. 2017 (arXiv:1706.04599) over 15 bins of equal width. It is too large on
    few samples, the more so the better a model is calibrated, which would hide a rise; each is corrected for
    that (Kumar et al. 2019, arXiv:1909.10155). The interval is that of a bootstrap over samples, mirrored as
    well, since some of the bias is left: in simulations it held the true rise in 82 to 100 % of cases.
    """
    pairs = [(_confidence(outputs), _right(outputs, labels)) for outputs in (candidate, teacher)]

    def rise(index: Integers) -> float:
        own, reference = (calibration_error(confidence[index], right[index]) for confidence, right in pairs)
        return own - reference

    ours, theirs = (calibration_error(confidence, right) for confidence, right in pairs)
    value = ours - theirs
    low, high = bootstrap(rise, len(labels), RESAMPLES)
    reach = max(value - low, high - value, 0.0)
    how = (
        f"expected calibration error {_percent(ours)} against the teacher's {_percent(theirs)} ({BINS} bins, "
        f"corrected for the number of samples), {_samples(len(labels))}"
    )
    return Quantity(value=value, low=value - reach, high=value + reach, how=how)


def calibration_error(confidence: Floats, right: Floats) -> float:
    """Expected calibration error, less what chance alone adds to it (`ece_rise` has the sources)."""
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    there = counts > 0
    gaps = np.abs(np.bincount(bins, weights=confidence - right, minlength=BINS)[there]) / counts[there]
    share = np.bincount(bins, weights=right, minlength=BINS)[there] / counts[there]
    errors = np.sqrt(share * (1 - share) / counts[there])
    weights = counts[there] / counts.sum()
    expected = np.array([_folded_mean(gap, error) for gap, error in zip(gaps, errors, strict=True)])
    return max(float(weights @ (2 * gaps - expected)), 0.0)


def gain_of(ours: Outputs, others: Outputs, labels: Array, metric: Metric) -> Quantity | None:
    """How much better one model is than another in the workload's metric (above 0: better), in its unit, by
    outputs on the same samples. None where the metric cannot be taken of them."""
    try:
        pair = [score(metric, one, labels, place="a model in PyTorch") for one in (ours, others)]
    except StageError:
        return None
    better, worse = pair if metric.higher_is_better else pair[::-1]
    gap = difference(better, worse)
    if gap is None or not np.isfinite(gap.ends).all():
        return None
    shown = [metric_info(metric.name).format(one.value) for one in pair]
    return replace(gap, how=f"{shown[0]} against {shown[1]}, {_samples(len(labels))}")


def paired_interval(differences: Array, error: float) -> tuple[float, float]:
    """Interval of the mean of paired differences between -1 and 1, wrong in a share `error` of cases.

    One observation of +1 and one of -1 are added, so that it says something where all differences are 0
    (Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37).
    """
    count = len(differences) + 2
    mean = float(np.sum(differences)) / count
    spread = sqrt(max((float(np.sum(np.square(differences))) + 2) / count - mean * mean, 0.0) / count)
    half = NormalDist().inv_cdf(1 - error / 2) * spread
    value = float(np.mean(differences)) if len(differences) else 0.0
    return max(min(mean - half, value), -1.0), min(max(mean + half, value), 1.0)


def _right(outputs: Array, labels: Array) -> Floats:
    return np.asarray(outputs.argmax(axis=-1) == labels, dtype=np.float64)


def _confidence(outputs: Array) -> Floats:
    """The probability of the class that each sample is given."""
    scores = np.nan_to_num(np.asarray(outputs, dtype=np.float64))
    if is_probabilities(scores):
        return np.asarray(np.clip(scores.max(axis=1), 0.0, 1.0))
    return np.asarray(1 / np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1))


def is_probabilities(outputs: Array) -> bool:
    """Whether rows are probabilities: between 0 and 1, and most add up to 1 (8-bit ones only nearly do)."""
    inside = bool((outputs >= -1e-6).all() and (outputs <= 1 + 1e-2).all())
    return inside and abs(float(np.median(outputs.sum(axis=1))) - 1) < 0.05


def _decided(outputs: Array) -> Flags:
    """Which labels are given, from logits or from probabilities."""
    probabilities = bool((outputs >= 0).all() and (outputs <= 1).all())
    return np.asarray(outputs > (0.5 if probabilities else 0.0))


def _folded_mean(mean: float, spread: float) -> float:
    """Expected amount of a normal number of this mean (0 or more) and spread."""
    if spread <= 0:
        return mean
    ratio = mean / spread
    return spread * sqrt(2 / pi) * exp(-ratio * ratio / 2) + mean * erf(ratio / sqrt(2))


def _percent(share: float) -> str:
    return f"{100 * float(share):.3g} %"


def _samples(count: int) -> str:
    return f"{count} sample{'' if count == 1 else 's'}"
