"""What the user brings: a teacher, data in four splits, a metric, and optionally how to build students."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .metric import Array as Array
from .metric import Metric as Metric
from .metric import source_of
from .metrics import ACCURACY as ACCURACY
from .metrics import built_in

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
    """A job. Give `teacher` (and usually `student`), or `model` for a model that exists only as a file.

    `splits` is called once per process. `teacher` builds the reference model. Without `train_teacher` it
    must come trained (say, with weights that it loads from a file). With it, `train_teacher(model, splits)`
    trains the fresh model in place; that happens once, and the weights are kept in the store, keyed by the
    content of the data, the bytes of the workload's file and `options`. It must look at `splits.test` in no
    way. `student` is called with the values of the study's student axes and returns an untrained module
    with the teacher's inputs and outputs. Modules may come in training mode; Paretune sets the mode.

    `model` is the path of a file; relative ones are taken from the directory of the workload's file. A
    PyTorch program (TorchScript, or `.pt2` of `torch.export.save`) is a teacher; an ONNX file, or one in a
    runtime's own format (`.tflite`), is measured as it is. `onnx` is its older name. `options` holds whatever
    else decides what these functions do (a dataset's version, a flag from the command line).

    `metric` is a `Metric`, or the name of a built-in one: accuracy, f1_macro, rmse, mae, auc, miou, map50,
    perplexity or psnr.

    `task` is what the model is for: "classification" (class numbers [N]), "token-classification" (class
    numbers [N, T], negative ones left out), "segmentation" (class numbers [N, H, W], negative ones left out),
    "multi-label" (0 and 1 in the shape of the outputs), "regression" (numbers in that shape) or "embedding"
    (any labels). Losses and side effects go by it. None: labels, metric and outputs tell, and where they do
    not, there is a question.

    `loss` is what students are trained by: a function `loss(outputs, labels, teacher_outputs)` of tensors
    that returns one number as a tensor, or the name of a task. None: the task's own loss.

    `outputs` names which of several outputs the metric is given: one name for an array, several for a
    mapping from names to arrays. A model that returns a mapping has its names; one that returns a tuple has
    `output_0`, `output_1`, ..., or the names that `outputs` gives where they are as many; one tensor is
    `output`. None: the one that metric and labels fit, or all of them for a metric that can score none alone.
    """

    name: str
    splits: Callable[[], Splits]
    teacher: Callable[[], nn.Module] | None = None
    train_teacher: Callable[[nn.Module, Splits], None] | None = None
    student: Callable[..., nn.Module] | None = None
    model: str | os.PathLike[str] | None = None
    onnx: str | os.PathLike[str] | None = None
    metric: Metric = ACCURACY
    task: str | None = None
    outputs: str | Sequence[str] | None = None
    loss: str | Callable[..., Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named: object = self.metric
        if isinstance(named, str):
            object.__setattr__(self, "metric", built_in(named))

    @property
    def file(self) -> Path | None:
        """The file that the model comes in, as the workload writes it."""
        given = self.model if self.model is not None else self.onnx
        return None if given is None else Path(given)

    @property
    def stated_task(self) -> str | None:
        """The task that the workload says it is of, as `task` or as the name of a loss."""
        return self.task or (self.loss if isinstance(self.loss, str) else None)

    @property
    def loss_digest(self) -> str:
        """What names the loss that students are trained by: "" for that of labels and outputs, the task, or a
        digest of the function's source (of its full name where it has none)."""
        if self.loss is None or isinstance(self.loss, str):
            return self.loss or ""
        return hashlib.sha256(source_of(self.loss, "loss").encode()).hexdigest()
