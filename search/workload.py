"""What the user brings: a teacher, data in four splits, a metric, and optionally how to build students."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples of one split: `inputs` maps each input's name to an array (axis 0 = samples), `labels` too.

    Input names are the names of the arguments of the model's forward method, in its order. dtypes are
    those that the model takes (float32 images, int64 token ids).
    """

    inputs: Mapping[str, Array]
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Four splits with four jobs: distillation, quantization ranges, the search, and finalists only."""

    train: Split
    calibration: Split
    validation: Split
    test: Split


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Quality of a model: `function(outputs, labels)` over a whole split gives one number.

    `outputs` is the model's first output as one array (axis 0 = samples). `name` is what study files and
    reports call it.
    """

    name: str
    function: Callable[[Array, Array], float]
    higher_is_better: bool = True


def _accuracy(outputs: Array, labels: Array) -> float:
    return float(np.mean(outputs.argmax(axis=-1) == labels))


ACCURACY = Metric(name="accuracy", function=_accuracy)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A job. Give `teacher` (and usually `student`), or `onnx` for a model that exists only as ONNX.

    `splits` is called once. `teacher` is called with the splits and returns a trained module; what it
    trains is kept in the store, keyed by the content of the data and of the workload's file. `student`
    is called with the values of the study's student axes and returns an untrained module.
    """

    name: str
    splits: Callable[[], Splits]
    teacher: Callable[[Splits], nn.Module] | None = None
    student: Callable[..., nn.Module] | None = None
    onnx: Path | None = None
    metric: Metric = ACCURACY
    options: Mapping[str, Any] = field(default_factory=dict)
