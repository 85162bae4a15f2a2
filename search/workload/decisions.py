"""What two sets of outputs for the same samples decide, and how often otherwise."""

from __future__ import annotations

import numpy as np

from .metric import Array
from .task import class_axis


def decisions(then: Array, now: Array, targets: Array | None, *, classes: bool) -> tuple[Array, Array] | None:
    """What was decided by the primary outputs of then and of now, one of each for a sample, token or pixel.

    None where they score no classes. Their axis is told by whole-number targets; without any, outputs
    [samples, several] are taken for scores where `classes` says that the task is one of classes.
    """
    if then.shape != now.shape or not len(then):
        return None
    if then.dtype.kind != "f":
        return then, now
    if targets is not None:
        axis = class_axis(targets, then.shape[1:])
    else:
        axis = 1 if classes and then.ndim == 2 and then.shape[1] > 1 else None
    return None if axis is None else (then.argmax(axis=axis), now.argmax(axis=axis))


def flipped(then: Array, now: Array, targets: Array | None, *, classes: bool) -> tuple[int, int] | None:
    """Samples that are decided otherwise, of how many; None where nothing is decided. Of a picture's pixels
    or a text's tokens, which flip together, it is the share that is taken as that of samples."""
    found = decisions(then, now, targets, classes=classes)
    if found is None:
        return None
    one, other = found
    return round(float(np.mean(one != other)) * len(one)), len(one)
