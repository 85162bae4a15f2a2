"""A quality metric: the user's function, and the one place that calls it."""

from __future__ import annotations

import hashlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.errors import ParetuneError, StageError
from ..record.metrics import metric_info

Array = NDArray[Any]
Outputs = Array | Mapping[str, Array]
"""What a metric is given of a model: one output, or several by name (axis 0 = samples)."""

_ROUNDING = 1e-6  # by how much a share may be outside 0 and 1


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Quality of a model: `function(outputs, labels)` over a whole split gives one number.

    `outputs` is the model's output as one array (axis 0 = samples), or several by name, see
    `Workload.outputs`. `name` is what study files and reports call it. `source` stands for the function's
    source in the digest, where that is not what counts ("": the source itself).
    """

    name: str
    function: Callable[[Any, Array], float]
    higher_is_better: bool = True
    source: str = ""

    @property
    def digest(self) -> str:
        """Digest of the metric's name and of its function's source (of its full name where it has none)."""
        source = self.source or source_of(self.function, self.name)
        return hashlib.sha256(f"{self.name}\n{source}".encode()).hexdigest()

    @property
    def is_share(self) -> bool:
        """Whether values lie between 0 and 1, as the table of metrics says of this name."""
        return metric_info(self.name).unit == "share"

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is strictly better than `other`."""
        return one > other if self.higher_is_better else one < other

    def score(self, outputs: Outputs, labels: Array, *, place: str) -> float:
        """The metric of these outputs: one finite number, of the stated kind. `place` names the model and the
        samples in messages ("teacher on validation").

        Raises:
            StageError: the function raised, or gave something else; `cause` says what, and where.
        """
        try:
            value = self.function(outputs, labels)
        except ParetuneError:
            raise
        except Exception as error:
            cause = f"the metric {self.name!r} raised {type(error).__name__}: {error}".splitlines()[0][:300]
            log = traceback.format_exc()
            raise StageError("score", f"{cause} ({place}; {_line_of(error)})", log) from error
        number = _number(value)
        if number is None:
            raise StageError(
                "score", f"the metric {self.name!r} gave {_shown(value)}, not one number ({place})"
            )
        if not isfinite(number):
            raise StageError("score", f"the metric {self.name!r} gave {number}, no finite number ({place})")
        if self.is_share and not -_ROUNDING <= number <= 1 + _ROUNDING:
            raise StageError(
                "score",
                f"the metric {self.name!r} gave {number:.6g} ({place}), but one of this name is a share "
                "between 0 and 1: return a share, or give the metric another name",
            )
        return min(max(number, 0.0), 1.0) if self.is_share else number


def _number(value: Any) -> float | None:
    """One real number out of whatever stands for one; None for anything else."""
    if hasattr(value, "detach"):  # a tensor, without importing torch
        value = value.detach().cpu().numpy()
    if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
        return float(value)
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf":
        return float(value)
    return None


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray) or hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {list(value.shape)}"
    return f"{type(value).__name__} {value!r}"[:100]


def _line_of(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}, line {frame.lineno}"


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
