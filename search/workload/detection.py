"""Mean average precision of boxes at an overlap of one half, as COCO's tools compute it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..record.arrays import Flags, Floats
from .metric import Array, Outputs

_OVERLAP, _MOST = 0.5, 100  # intersection over union; boxes of an image that count
_RECALLS = np.linspace(0.0, 1.0, 101)


def average_precision_50(outputs: Outputs, labels: Array) -> float:
    """Mean over classes that occur. `outputs`: [N, K, 6] with x1, y1, x2, y2, score and class, or a mapping
    with `boxes` [N, K, 4], `scores` [N, K] and `labels` [N, K]; a score of 0 or less is no box. `labels`:
    [N, M, 5] with x1, y1, x2, y2 and class, which is negative where there is no box."""
    boxes, scores, classes = _parts(outputs)
    if labels.ndim != 3 or labels.shape[-1] != 5 or len(labels) != len(boxes):
        raise ValueError(f"map50 takes labels [N, M, 5] for boxes of {len(boxes)} images, not {labels.shape}")
    present = np.unique(labels[..., 4])
    found = [_of_class(boxes, scores, classes, labels, c) for c in present if c >= 0]
    if not found:
        raise ValueError("map50 needs labels with boxes")
    return float(np.mean(found))


def _parts(outputs: Outputs) -> tuple[Floats, Floats, Floats]:
    if isinstance(outputs, Mapping):
        wanted = ("boxes", "scores", "labels")
        missing = [name for name in wanted if name not in outputs]
        if missing:
            raise ValueError(f"map50 takes the outputs {', '.join(wanted)}, not {', '.join(outputs)}")
        boxes, scores, classes = (np.asarray(outputs[name], dtype=np.float64) for name in wanted)
        return boxes, scores, classes
    if outputs.ndim != 3 or outputs.shape[-1] != 6:
        raise ValueError(f"map50 takes outputs [N, K, 6], not {list(outputs.shape)}")
    plain = np.asarray(outputs, dtype=np.float64)
    return plain[..., :4], plain[..., 4], plain[..., 5]


def _of_class(boxes: Floats, scores: Floats, classes: Floats, labels: Array, number: float) -> float:
    """Area under the curve of precision over recall of one class, at 101 recalls."""
    counted, hits, wanted = [], [], 0
    for image in range(len(boxes)):
        truth = np.asarray(labels[image][labels[image][:, 4] == number][:, :4], dtype=np.float64)
        mine = np.flatnonzero((np.round(classes[image]) == number) & (scores[image] > 0))
        mine = mine[np.argsort(-scores[image][mine], kind="stable")][:_MOST]
        counted.append(scores[image][mine])
        hits.append(_matched(boxes[image][mine], truth))
        wanted += len(truth)
    order = np.argsort(-np.concatenate(counted), kind="stable")
    right = np.cumsum(np.concatenate(hits)[order])
    if not len(right):
        return 0.0
    precision = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[::-1])[::-1]
    places = np.searchsorted(right / wanted, _RECALLS, side="left")
    reached = places < len(precision)
    return float(np.where(reached, precision[np.minimum(places, len(precision) - 1)], 0.0).mean())


def _matched(boxes: Floats, truth: Floats) -> Flags:
    """Which boxes, best score first, lie on a true one that no better box took."""
    free, hits = np.ones(len(truth), dtype=bool), np.zeros(len(boxes), dtype=bool)
    overlaps = _overlaps(boxes, truth)
    for place in range(len(boxes)):
        left = np.where(free, overlaps[place], 0.0)
        if len(left) and left.max() >= _OVERLAP:
            best = len(left) - 1 - int(left[::-1].argmax())  # of equals the last one, as COCO's tools do
            hits[place], free[best] = True, False
    return hits


def _overlaps(one: Floats, other: Floats) -> Floats:
    """Intersection over union of each pair of boxes."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(axis=1) for b in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-12))
