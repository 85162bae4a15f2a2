"""A teacher that is wrong or unstable, noticed: each check gives sentences, none where all is well.

Arrays have samples along axis 0. Chance is what the same outputs reach when they are dealt to the samples at
random, so that classes of unequal size and teachers with favourites are judged fairly.
"""

from __future__ import annotations

import numpy as np

from ...workload.workload import Array
from ..training.losses import CLASSES, MULTI_LABEL, TOKENS

BEYOND_ERROR = 1.96  # standard errors, for 95 %
SAME = 1e-4  # of the outputs' spread: what rounding may do between two passes
FEWEST = 20  # samples, below which nothing is said


def sample_scores(outputs: Array, labels: Array, task: str) -> Array:
    """How well each sample [N] is answered: share of right answers, for numbers minus the squared error.

    Tokens with a negative label do not count; a sample without any other is nan.
    """
    if task == CLASSES:
        return np.asarray(outputs.argmax(axis=-1) == labels, dtype=float)
    if task == TOKENS:
        right = (outputs.argmax(axis=-1) == labels).astype(float)
        labelled = labels >= 0
        counts = labelled.sum(axis=1)
        shares = (right * labelled).sum(axis=1) / np.maximum(counts, 1)
        return np.asarray(np.where(counts > 0, shares, np.nan))
    right = (outputs > 0) == (labels > 0) if task == MULTI_LABEL else -np.square(outputs - labels)
    scores = np.asarray(right, dtype=float).reshape(len(labels), -1)
    return np.asarray(scores.mean(axis=1))


def decisions(outputs: Array, task: str, labels: Array) -> Array:
    """Outputs as labels, so that a student can be scored against them; padding stays padding."""
    if task == CLASSES:
        return np.asarray(outputs.argmax(axis=-1))
    if task == TOKENS:
        return np.asarray(np.where(labels >= 0, outputs.argmax(axis=-1), -1))
    return np.asarray(outputs > 0, dtype=int) if task == MULTI_LABEL else np.asarray(outputs)


def advantage(scores: Array, others: Array) -> tuple[float, float]:
    """Mean of the paired differences, and its standard error (nan where there are too few samples)."""
    differences = scores - others
    differences = differences[np.isfinite(differences)]
    if len(differences) < FEWEST:
        return 0.0, float("nan")
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def over_chance(outputs: Array, labels: Array, task: str) -> tuple[float, float, float]:
    """Mean score, that of the same outputs dealt at random, and the standard error of the difference."""
    order = np.random.default_rng(0).permutation(len(labels))
    scores, dealt = sample_scores(outputs, labels, task), sample_scores(outputs[order], labels, task)
    ahead, error = advantage(scores, dealt)
    mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
    return mean, mean - ahead, error


def targets_and_labels(outputs: Array, labels: Array, task: str) -> list[str]:
    """Soft targets that agree with the labels of `train` no better than chance."""
    mean, chance, error = over_chance(outputs, labels, task)
    if np.isnan(error) or mean - chance > BEYOND_ERROR * error:
        return []
    return [
        f"the teacher's outputs agree with the labels of train no better than chance ({_named(task)} "
        f"{mean:.4g}, {chance:.4g} when they are dealt at random): check that labels belong to their samples"
    ]


def two_passes(first: Array, second: Array) -> list[str]:
    """Outputs of the teacher for the same samples, computed twice, that differ."""
    spread = max(float(np.std(first)), 1e-12)
    apart = float(np.abs(first - second).max())
    if apart <= SAME * spread:
        return []
    return [
        f"two passes of the teacher over the same samples differ by up to {apart:.3g} (its outputs spread by "
        f"{spread:.3g}): it draws random numbers or mixes samples of a batch in evaluation mode, say by a "
        "dropout that does not follow `model.eval()`; its soft targets are one draw of many"
    ]


def student_and_teacher(student: Array, teacher: Array, labels: Array, task: str) -> list[str]:
    """On validation: a student that beats its teacher beyond error, or agrees with it no more than chance."""
    found = []
    ours, theirs = sample_scores(student, labels, task), sample_scores(teacher, labels, task)
    ahead, error = advantage(ours, theirs)
    if ahead > BEYOND_ERROR * error:
        found.append(
            f"the student beats the teacher on validation beyond error ({_named(task)} "
            f"{np.nanmean(ours):.4g} against {np.nanmean(theirs):.4g}, 95 % sure): the teacher may be "
            "trained too little, or be wrong"
        )
    mean, chance, error = over_chance(student, decisions(teacher, task, labels), task)
    if mean - chance <= BEYOND_ERROR * error:
        found.append(
            f"the student agrees with the teacher no better than chance on validation ({_named(task)} "
            f"{mean:.4g}, {chance:.4g} when its outputs are dealt at random): it has not learned from it"
        )
    return found


def _named(task: str) -> str:
    return "share of equal answers" if task in (CLASSES, TOKENS, MULTI_LABEL) else "minus mean squared error"
