"""Built-in metrics by name, for the shapes and tasks in which each has a meaning.

Class numbers may be of samples [N], tokens [N, T] or pixels [N, H, W]; negative ones are left out. Labels of
0 and 1 in the shape of the outputs are several labels, decided at 0.5 of probabilities and at 0 of logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...profiles.errors import UserError
from ..record.arrays import Floats, Integers, ranks
from .detection import average_precision_50
from .metric import ACCURACY_SOURCE, Array, Metric
from .task import alike, class_axis


def _accuracy(outputs: Array, labels: Array) -> float:
    """Share of right answers: of samples, tokens, pixels or single labels."""
    decided, wanted = _decided(outputs, labels)
    return float(np.mean(decided == wanted))


def _f1_macro(outputs: Array, labels: Array) -> float:
    """Mean F1 score of all classes that occur or are answered, or of all labels."""
    return _mean_over_classes(
        outputs, labels, lambda hit, wrong, missed: 2 * hit / (2 * hit + wrong + missed)
    )


def _miou(outputs: Array, labels: Array) -> float:
    """Mean intersection over union of all classes that occur or are answered, or of all labels."""
    return _mean_over_classes(outputs, labels, lambda hit, wrong, lost: hit / (hit + wrong + lost))


def _auc(outputs: Array, labels: Array) -> float:
    """Area under the ROC curve: of the second of two classes, else the mean over classes, each against the
    rest, or over labels. Those of which all samples are one kind have none."""
    if class_axis(labels, outputs.shape[1:]) is None:
        scores, wanted = outputs.reshape(len(outputs), -1), labels.reshape(len(labels), -1)
    else:
        rows, numbers = _rows(outputs, labels)
        scores, wanted = _probabilities(rows), numbers[:, None] == np.arange(rows.shape[1])
        if rows.shape[1] == 2:
            scores, wanted = (rows[:, 1:] - rows[:, :1]), wanted[:, 1:]
    areas = [_area(s, w > 0) for s, w in zip(scores.T, wanted.T, strict=True) if 0 < (w > 0).sum() < len(w)]
    if not areas:
        raise ValueError("auc needs samples of both kinds")
    return float(np.mean(areas))


def _rmse(outputs: Array, labels: Array) -> float:
    """Root of the mean squared error of all numbers."""
    return float(np.sqrt(np.mean(np.square(_errors(outputs, labels)))))


def _mae(outputs: Array, labels: Array) -> float:
    """Mean absolute error of all numbers."""
    return float(np.mean(np.abs(_errors(outputs, labels))))


def _psnr(outputs: Array, labels: Array) -> float:
    """Peak signal to noise ratio in dB over all values. The peak is 1 where labels lie between 0 and 1, 255
    where they reach beyond and lie between 0 and 255, else their range."""
    low, high = float(labels.min()), float(labels.max())
    peak = 1.0 if low >= 0 and high <= 1 else 255.0 if low >= 0 and high <= 255 else high - low
    error = float(np.mean(np.square(_errors(outputs, labels))))
    return float(10 * np.log10(peak**2 / max(error, 1e-20 * peak**2)))


def _perplexity(outputs: Array, labels: Array) -> float:
    """Exponential of the mean negative log-likelihood of the right class (of each token)."""
    rows, numbers = _rows(outputs, labels)
    probable = _probabilities(rows)[np.arange(len(rows)), numbers]
    return float(np.exp(-np.mean(np.log(np.maximum(probable, 1e-30)))))


def _rows(outputs: Array, labels: Array) -> tuple[Floats, Integers]:
    """Class scores [M, classes] and class numbers [M] of whatever has a label."""
    axis = class_axis(labels, outputs.shape[1:])
    if axis is None:
        shapes = f"labels {labels.dtype}{list(labels.shape)}, outputs {list(outputs.shape)}"
        raise ValueError(f"no axis of the outputs scores classes for these labels: {shapes}")
    scores, numbers = np.moveaxis(outputs, axis, -1), labels.reshape(-1)
    there = numbers >= 0
    rows = scores.reshape(-1, scores.shape[-1])[there]
    return np.asarray(rows, dtype=np.float64), np.asarray(numbers[there], dtype=np.int64)


def _decided(outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Answers and labels, one beside the other: class numbers, or flags of single labels."""
    axis = class_axis(labels, outputs.shape[1:])
    if axis is not None:
        there = labels >= 0
        return outputs.argmax(axis=axis)[there], labels[there]
    if not alike(labels.shape[1:], outputs.shape[1:]):
        raise ValueError(f"labels {list(labels.shape)} do not go with outputs {list(outputs.shape)}")
    labels = labels.reshape(outputs.shape)
    if outputs.dtype.kind in "iu":  # answers already, say the class numbers of a tree
        return outputs, labels
    shares = bool((outputs >= 0).all() and (outputs <= 1).all())
    return outputs > (0.5 if shares else 0.0), labels > 0


def _mean_over_classes(outputs: Array, labels: Array, score: Callable[..., float]) -> float:
    decided, wanted = _decided(outputs, labels)
    if decided.dtype == bool:  # single labels: axis 1 has them, where there is one
        if decided.ndim == 1:
            decided, wanted = decided[:, None], wanted[:, None]
        pairs = [(decided[:, label], wanted[:, label]) for label in range(decided.shape[1])]
    else:
        pairs = [(decided == c, wanted == c) for c in np.union1d(decided, wanted)]
    counts = [((one & other).sum(), (one & ~other).sum(), (~one & other).sum()) for one, other in pairs]
    return float(np.mean([score(*count) if sum(count) else 0.0 for count in counts]))


def _area(scores: Floats, positive: Array) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney), ties by their mean."""
    ones = int(positive.sum())
    return float((ranks(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * (len(scores) - ones)))


def _probabilities(rows: Floats) -> Floats:
    if rows.size and (rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) < 1e-3).all():
        return rows
    raised = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _errors(outputs: Array, labels: Array) -> Floats:
    if not alike(labels.shape[1:], outputs.shape[1:]):
        raise ValueError(f"labels {list(labels.shape)} do not go with outputs {list(outputs.shape)}")
    return np.asarray(outputs, dtype=np.float64) - labels.reshape(outputs.shape)


def _built_in(
    name: str, function: Callable[[Any, Array], float], *, higher: bool, source: str = ""
) -> Metric:
    return Metric(
        name=name, function=function, higher_is_better=higher, source=source or f"built-in {name} 1"
    )


ACCURACY = _built_in("accuracy", _accuracy, higher=True, source=ACCURACY_SOURCE)
F1_MACRO = _built_in("f1_macro", _f1_macro, higher=True)
RMSE = _built_in("rmse", _rmse, higher=False)
MAE = _built_in("mae", _mae, higher=False)
AUC = _built_in("auc", _auc, higher=True)
MIOU = _built_in("miou", _miou, higher=True)
MAP50 = _built_in("map50", average_precision_50, higher=True)
PERPLEXITY = _built_in("perplexity", _perplexity, higher=False)
PSNR = _built_in("psnr", _psnr, higher=True)

BUILT_IN = {m.name: m for m in (ACCURACY, F1_MACRO, RMSE, MAE, AUC, MIOU, MAP50, PERPLEXITY, PSNR)}


def built_in(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UserError: there is none.
    """
    if name not in BUILT_IN:
        raise UserError(
            "not a metric",
            place="`metric` of the workload",
            found=repr(name),
            accepted=f"{', '.join(BUILT_IN)}, or a Metric with a function of your own",
        )
    return BUILT_IN[name]
