"""What the user brings: a teacher, data in four splits, a metric, and optionally how to build students."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .metric import ACCURACY as ACCURACY
from .metric import Array as Array
from .metric import Metric as Metric
from .metric import source_of

if TYPE_CHECKING:
    from torch import nn

SPLIT_NAMES = ("train", "calibration", "validation", "test")


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

    def head(self, count: int) -> Split:
        """The first `count` samples (all of them where there are fewer)."""
        return Split(inputs={n: a[:count] for n, a in self.inputs.items()}, labels=self.labels[:count])


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Four splits with four jobs: distillation, quantization ranges, the search, and finalists only.

    No sample may be in two of them; see `split_checks.check_splits`.
    """

    train: Split
    calibration: Split
    validation: Split
    test: Split

    def items(self) -> Iterator[tuple[str, Split]]:
        """Name and split, in the order of `SPLIT_NAMES`."""
        return ((name, getattr(self, name)) for name in SPLIT_NAMES)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A job. Give `teacher` (and usually `student`), or `onnx` for a model that exists only as ONNX.

    `splits` is called once per process. `teacher` builds the reference model. Without `train_teacher` it
    must come trained (say, with weights that it loads from a file). With it, `train_teacher(model, splits)`
    trains the fresh model in place; that happens once, and the weights are kept in the store, keyed by the
    content of the data, the bytes of the workload's file and `options`. It must look at `splits.test` in no
    way. `student` is called with the values of the study's student axes and returns an untrained module
    with the teacher's inputs and outputs. Modules may come in training mode; Paretune sets the mode.

    `onnx` is a path; relative ones are taken from the directory of the workload's file. `options` holds
    whatever else decides what these functions do (a dataset's version, a flag from the command line).

    `loss` is what students are trained by: "classification" (class numbers [N]), "token-classification"
    (class numbers [N, T], negative ones left out), "regression" (decimal numbers in the shape of the
    outputs), "multi-label" (0 and 1 in the shape of the outputs), or a function
    `loss(outputs, labels, teacher_outputs)` of tensors that returns one number as a tensor. None: the types
    and shapes of labels and outputs tell which.

    """

    name: str
    splits: Callable[[], Splits]
    teacher: Callable[[], nn.Module] | None = None
    train_teacher: Callable[[nn.Module, Splits], None] | None = None
    student: Callable[..., nn.Module] | None = None
    onnx: Path | None = None
    metric: Metric = ACCURACY
    loss: str | Callable[..., Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def loss_digest(self) -> str:
        """What names the loss that students are trained by: "" for that of labels and outputs, the task, or a
        digest of the function's source (of its full name where it has none)."""
        if self.loss is None or isinstance(self.loss, str):
            return self.loss or ""
        return hashlib.sha256(source_of(self.loss, "loss").encode()).hexdigest()
