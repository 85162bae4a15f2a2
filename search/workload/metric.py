"""A quality metric: the user's function, and the one place that calls it."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.guard.user_code import UserCodeError, shown, user_code
from ...profiles.guard.user_place import defined_at
from ..record.metrics import metric_info

Array = NDArray[Any]
Outputs = Array | Mapping[str, Array]
"""What a metric is given of a model: one output, or several by name (axis 0 = samples)."""

_ROUNDING = 1e-6  # by how much a value may be beyond its bounds
_MOST_COPIED = 2**28  # bytes of an array that a metric may write in
_SHARE = (0.0, 1.0)
_SHARES = re.compile(
    r"((balanced|top_?[15])_?)?acc(uracy)?|top_?[15]|((macro|micro|weighted)_)?f1(_(macro|micro|weighted|score))?"
    r"|precision|recall|sensitivity|specificity|(roc_?|pr_?)?auc|auroc|auprc|average_precision|map(_?50)?"
    r"|(m|mean_)?iou|dice|jaccard"
)
_CORRELATIONS = ("pearson", "spearman", "kendall", "mcc", "matthews", "kappa", "cohen_kappa")
_AMOUNTS = ("rmse", "mse", "mae", "perplexity")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Quality of a model: `function(outputs, labels)` over a whole split gives one number.

    `outputs` is the model's output as one array (axis 0 = samples), or several by name, see
    `Workload.outputs`. `name` is what study files and reports call it. `source` stands for the function's
    source in the digest, where that is not what counts ("": the source itself). `bounds`: the least and the
    largest value that it can have (None: what is usual for one of its name).
    """

    name: str
    function: Callable[[Any, Array], float]
    higher_is_better: bool = True
    source: str = ""
    bounds: tuple[float, float] | None = None

    @property
    def digest(self) -> str:
        """Digest of the metric's name and of its function's source (of its full name where it has none)."""
        source = self.source or source_of(self.function, self.name)
        return hashlib.sha256(f"{self.name}\n{source}".encode()).hexdigest()

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is strictly better than `other`."""
        return one > other if self.higher_is_better else one < other

    def score(self, outputs: Outputs, labels: Array, *, place: str) -> float:
        """The metric of these outputs: one finite number, of the stated kind. `place` names the model and the
        samples in messages ("teacher on validation"). The arrays are as they were afterwards, whatever
        the function does to those that it is given.

        Raises:
            UserCodeError: the function raised, or gave something else; `cause` says what, and where.
        """
        what = f"the metric {self.name!r} on {place}"
        outputs, labels = _lent(outputs), _lent_array(labels)
        given = {"outputs": outputs, "labels": labels}
        with user_code(what, given=given, function=self.function, stage="score", brief=True):
            value = self.function(outputs, labels)
            number = _number(value)
        if number is None:
            raise self._refused(f"gave {shown(value)}, not one number", place, "one number: a float")
        if not isfinite(number):
            raise self._refused(f"gave {number}, no finite number", place, "one finite number")
        low, high = self.bounds or usual_bounds(self.name)
        if not low - _ROUNDING <= number <= high + _ROUNDING:
            raise self._out_of_bounds(number, low, high, place)
        return min(max(number, low), high)

    def _out_of_bounds(self, number: float, low: float, high: float, place: str) -> UserCodeError:
        of, remedy = "it", "correct the metric, or its `bounds`"
        if self.bounds is None:
            of = "one of this name"
            right = "give a share between 0 and 1" if (low, high) == _SHARE else "correct the metric"
            remedy = f"{right}, or give it another name, or `bounds` of its own"
        said = f"gave {number:.6g}, but {of} lies between {low:g} and {high:g}"
        return self._refused(said, place, f"{low:g} to {high:g}", remedy)

    def _refused(self, said: str, place: str, accepted: str, remedy: str = "") -> UserCodeError:
        return UserCodeError(
            f"the metric {self.name!r} {said}",
            place=": ".join(filter(None, (place, defined_at(self.function)))),
            accepted=accepted,
            remedy=remedy or "let the metric return one float for outputs and labels of a whole split",
            stage="score",
        )


def _lent(outputs: Outputs) -> Outputs:
    if isinstance(outputs, np.ndarray):
        return _lent_array(outputs)
    return {name: _lent_array(array) for name, array in outputs.items()}


def _lent_array(array: Array) -> Array:
    """A copy to write in; of a large one, a view that cannot be written in."""
    if array.nbytes <= _MOST_COPIED:
        return array.copy()
    view = array.view()
    view.flags.writeable = False
    return view


def usual_bounds(name: str) -> tuple[float, float]:
    """Between which values a metric of this name lies."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if metric_info(name).unit == "share" or _SHARES.fullmatch(plain):
        return _SHARE
    if plain in _CORRELATIONS:
        return -1.0, 1.0
    return (0.0, inf) if plain in _AMOUNTS else (-inf, inf)


def _number(value: Any) -> float | None:
    """One real number out of whatever stands for one; None for anything else."""
    if hasattr(value, "detach"):  # a tensor, without importing torch
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf":
        value = value[()]
    if not isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number that is larger than any of the others
        return inf


def source_of(function: Callable[..., Any], name: str) -> str:
    """A function's source, its full name where it has none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return f"{type(function).__module__}.{getattr(function, '__qualname__', name)}"


ACCURACY_SOURCE = """def _accuracy(outputs: Array, labels: Array) -> float:
    return float(np.mean(outputs.argmax(axis=-1) == labels))
"""
"""Of accuracy as it first was: of class numbers per sample it is the same, so scores in stores stay known."""
