"""What a workload's models are for: the task, as far as labels, metric and the teacher tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
from torch import nn

from ....profiles.errors import UserError
from ...workload.metric import Array
from ...workload.task import (
    CLASS_TASKS,
    CLASSES,
    MULTI_LABEL,
    NUMBERS,
    TASKS,
    TOKENS,
    UNKNOWN,
    Seen,
    Task,
    are_probabilities,
    read_task,
    unknown,
)
from ...workload.workload import Split
from .networks import Networks

_SEEN, _FEW = 256, 64  # samples that the trained, and the untrained teacher is asked about


class Purpose:
    """The task of one workload; `trained` gives its trained teacher."""

    def __init__(self, networks: Networks, trained: Callable[[], nn.Module]) -> None:
        self.networks, self.loaded, self._trained = networks, networks.loaded, trained

    @cached_property
    def first(self) -> Task:
        """Before the teacher is trained: where it is not settled, the trained one has a say. Whether outputs
        are probabilities shows in the untrained one too."""
        outputs = self._untrained
        found = self._or_unknown(outputs.shape[1:], None)
        return replace(found, probabilities=are_probabilities(found.name, found.class_axis, outputs))

    def check(self) -> None:
        """Before anything is trained.

        Raises:
            UserError: no loss is known: there is no reading of the task, or none that the workload's own
                words allow.
        """
        workload = self.loaded.workload
        if workload.task is not None and isinstance(workload.loss, str) and workload.loss != workload.task:
            raise UserError(
                "the workload says two tasks",
                place=f"workload {workload.name}",
                found=f"task {workload.task!r}, loss {workload.loss!r}",
                remedy="leave one of them out",
            )
        if callable(workload.loss):
            return
        if self._read(self._untrained.shape[1:], None).name == UNKNOWN:
            raise UserError(
                "students of an unknown task cannot be trained without a loss",
                place=f"workload {workload.name}",
                accepted=", ".join(name for name in TASKS if name != UNKNOWN),
                remedy="say which of these it is, or give the workload a `loss` of its own",
            )

    @cached_property
    def _untrained(self) -> Array:
        return self.primary(self.networks.build(()), self.loaded.splits.train.head(_FEW))

    @cached_property
    def task(self) -> Task:
        """As labels, metric and the trained teacher tell."""
        split = self.loaded.splits.train
        rows = np.sort(np.random.default_rng(0).permutation(len(split))[:_SEEN])
        some = Split(inputs={n: a[rows] for n, a in split.inputs.items()}, labels=split.labels[rows])
        outputs = self.primary(self._trained(), some)
        return self._or_unknown(outputs.shape[1:], Seen(outputs=outputs, labels=some.labels))

    def _read(self, shape: tuple[int, ...], seen: Seen | None) -> Task:
        workload, labels = self.loaded.workload, self.loaded.splits.train.labels
        return read_task(labels, shape, workload.metric, declared=workload.stated_task, seen=seen)

    def _or_unknown(self, shape: tuple[int, ...], seen: Seen | None) -> Task:
        """With a loss of the workload's own, and where nothing is trained, no reading is needed."""
        try:
            return self._read(shape, seen)
        except UserError as error:
            return unknown(error)

    def primary(self, model: nn.Module, split: Split) -> Array:
        """The primary output of a model over a split (axis 0 = samples)."""
        primary = self.networks.outputs.primary  # which looks at the model first
        return self.networks.predicted(model, split)[primary]

    @cached_property
    def digest(self) -> str:
        """What names the loss in the key of a training: what the workload says, and whatever makes it other
        than the one that earlier versions read from dtypes and shapes alone ("": nothing)."""
        workload, first, outputs = self.loaded.workload, self.first, self.networks.outputs
        parts = [workload.loss_digest]
        if not callable(workload.loss):
            if not workload.loss and (first.name != self._once() or not first.settled):
                parts.append(first.name)
            parts.append(f"axis {first.class_axis}" if first.class_axis != -1 else "")
            parts.append("probabilities" if first.probabilities else "")
        if len(outputs.names) > 1:
            parts.append(f"{outputs.primary} of {', '.join(outputs.names)}")
        return " ".join(filter(None, parts))

    def _once(self) -> str:
        """How earlier versions read the task."""
        labels = self.loaded.splits.train.labels
        if self.first.name in (CLASSES, TOKENS):
            return self.first.name
        if labels.shape[1:] != self._untrained.shape[1:] or self.first.name in CLASS_TASKS:
            return ""
        return NUMBERS if labels.dtype.kind == "f" else MULTI_LABEL
