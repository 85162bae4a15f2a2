"""A teacher that is wrong or unstable, noticed: each check gives sentences, none where all is well.

Arrays have samples along axis 0. Chance is what the same outputs reach when they are dealt to the samples at
random, so that classes of unequal size and teachers with favourites are judged fairly.
"""

from __future__ import annotations

import numpy as np

from ...workload.metric import Array
from ...workload.task import CLASS_TASKS, CLASSES, MULTI_LABEL, NUMBERS, Task, as_task

COMPARED = (*CLASS_TASKS, MULTI_LABEL, NUMBERS)
"""Tasks whose outputs can be compared with labels."""
BEYOND_ERROR = 1.96  # standard errors, for 95 %
SAME = 1e-4  # of the outputs' spread: what rounding may do between two passes
FEWEST = 20  # samples, below which nothing is said


def sample_scores(outputs: Array, labels: Array, task: Task | str) -> Array:
    """How well each sample [N] is answered: share of right answers, for numbers minus the squared error.

    Tokens and pixels with a negative label do not count; a sample without any other is nan.
    """
    task = as_task(task)
    if task.has_classes:
        right = (outputs.argmax(axis=task.class_axis) == labels).astype(float).reshape(len(labels), -1)
        labelled = (labels >= 0).reshape(len(labels), -1)
        counts = labelled.sum(axis=1)
        shares = (right * labelled).sum(axis=1) / np.maximum(counts, 1)
        return np.asarray(np.where(counts > 0, shares, np.nan))
    labels = labels.reshape(outputs.shape)
    right = decisions(outputs, task, labels) == (labels > 0) if task.name == MULTI_LABEL else None
    scores = np.asarray(-np.square(outputs - labels) if right is None else right, dtype=float)
    return np.asarray(scores.reshape(len(labels), -1).mean(axis=1))


def decisions(outputs: Array, task: Task | str, labels: Array) -> Array:
    """Outputs as labels, so that a student can be scored against them; padding stays padding."""
    task = as_task(task)
    if task.name == CLASSES:
        return np.asarray(outputs.argmax(axis=-1))
    if task.has_classes:
        return np.asarray(np.where(labels >= 0, outputs.argmax(axis=task.class_axis), -1))
    if task.name == MULTI_LABEL:
        return np.asarray(outputs > (0.5 if task.probabilities else 0), dtype=int)
    return np.asarray(outputs)


def advantage(scores: Array, others: Array) -> tuple[float, float]:
    """Mean of the paired differences, and its standard error (nan where there are too few samples)."""
    differences = scores - others
    differences = differences[np.isfinite(differences)]
    if len(differences) < FEWEST:
        return 0.0, float("nan")
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def over_chance(outputs: Array, labels: Array, task: Task | str) -> tuple[float, float, float]:
    """Mean score, that of the same outputs dealt at random, and the standard error of the difference."""
    order = np.random.default_rng(0).permutation(len(labels))
    scores, dealt = sample_scores(outputs, labels, task), sample_scores(outputs[order], labels, task)
    ahead, error = advantage(scores, dealt)
    mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
    return mean, mean - ahead, error


def targets_and_labels(outputs: Array, labels: Array, task: Task | str) -> list[str]:
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


def student_and_teacher(student: Array, teacher: Array, labels: Array, task: Task | str) -> list[str]:
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


def _named(task: Task | str) -> str:
    return "share of equal answers" if as_task(task).name != NUMBERS else "minus mean squared error"
