"""The teacher: built, trained once, checked, kept; and what it says about the training split."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ....profiles.errors import UserError
from ...store.store import Entry, Store
from ...workload.workload import Array, Split
from ..network.reproducible import reproducible
from ..training.loop import Control
from . import keys
from .built import check_as_before, shapes_of
from .networks import Networks, with_weights
from .output_checks import check_teacher, teacher_score
from .purpose import Purpose
from .teacher_checks import COMPARED, targets_and_labels, two_passes

OUTPUTS = "outputs.npy"
_OTHER = "other_{}.npy"
_SECOND_PASS = 256  # samples of `train` that the teacher sees again


class Teacher:
    """The teacher of one workload. `control` is told when it is trained."""

    def __init__(self, networks: Networks, store: Store, control: Control) -> None:
        self.networks, self.store, self.control = networks, store, control
        self.loaded, self.threads = networks.loaded, networks.threads
        self.purpose = Purpose(networks, self.model)

    @cached_property
    def key(self) -> str:
        """Key of the teacher's entry; builds the teacher once, since the weights it starts with count."""
        loaded, networks = self.loaded, self.networks
        return keys.teacher_key(
            loaded.source_digest,
            loaded.data_digests,
            networks.initial_digest,
            networks.tools,
            networks.outputs.digest,
        )

    def entry(self) -> Entry:
        """The trained teacher. `meta` has `quality` by split (train and validation), `parameters`, `macs` and
        `output_shape` (without the batch).

        Raises:
            UserError: the teacher does not run, has weights that are not finite, or is no better than chance.
        """
        loaded = self.loaded
        provenance = self.networks.provenance(source=loaded.source_digest, data=loaded.data_digests)
        return self.store.produce("teacher", self.key, provenance, self._make)

    def model(self) -> nn.Module:
        """The trained teacher, in evaluation mode."""
        return with_weights(self.networks.build(()), self.entry())

    @property
    def targets_key(self) -> str:
        """Key of `soft_targets`."""
        choice = self.networks.outputs
        return keys.soft_targets_key(
            self.key, self.loaded.data_digests["train"], (choice.primary, *choice.others)
        )

    def soft_targets(self) -> Entry:
        """The teacher's outputs over `train`, computed once, as `outputs.npy` (float32, axis 0 = samples).

        `meta` has `remarks`, sentences on a teacher that is wrong or unstable.
        """

        def make(into: Path) -> Mapping[str, Any]:
            model, choice = self.model(), self.networks.outputs
            with reproducible(0, self.threads):
                named = self.networks.predicted(model, self.loaded.splits.train)
            outputs = named[choice.primary]
            np.save(into / OUTPUTS, outputs.astype(np.float32))
            for number, name in enumerate(choice.others):
                np.save(into / _OTHER.format(number), named[name])
            return {"shape": outputs.shape, "remarks": self._doubts(model, outputs)}

        provenance = self.networks.provenance(teacher=self.key)
        return self.store.produce("soft-targets", self.targets_key, provenance, make)

    def said(self, entry: Entry) -> dict[str, Array]:
        """All outputs of `soft_targets` by name."""
        choice = self.networks.outputs
        others = {n: entry.read(_OTHER.format(number), np.load) for number, n in enumerate(choice.others)}
        return {choice.primary: entry.read(OUTPUTS, np.load), **others}

    def remarks(self) -> tuple[str, ...]:
        """Sentences on a teacher that is wrong or unstable, found when its soft targets were made; none where
        all is well, or where there are no soft targets yet."""
        entry = self.store.get("soft-targets", self.targets_key)
        return tuple(entry.meta.get("remarks", ())) if entry else ()

    @cached_property
    def on_validation(self) -> Array:
        """Its outputs over `validation` (axis 0 = samples)."""
        return self.purpose.primary(self.model(), self.loaded.splits.validation)

    def _doubts(self, model: nn.Module, outputs: Array) -> list[str]:
        """What outputs over `train` say about the teacher; some are computed again, in another order."""
        split = self.loaded.splits.train
        rows = np.arange(min(len(split), _SECOND_PASS))[::-1]
        again = Split(inputs={n: a[rows] for n, a in split.inputs.items()}, labels=split.labels[rows])
        with reproducible(1, self.threads):
            found = two_passes(outputs[rows], self.purpose.primary(model, again))
        task = self.purpose.task
        return found + (targets_and_labels(outputs, split.labels, task) if task.name in COMPARED else [])

    def _make(self, into: Path) -> Mapping[str, Any]:
        workload, splits, metric = self.loaded.workload, self.loaded.splits, self.networks.metric
        model = self.networks.build(())
        if workload.train_teacher is not None:
            self.control.progress("teacher: training")
            what, function, before = "train_teacher", workload.train_teacher, shapes_of(model)
            with reproducible(0, self.threads), self.loaded.unchanged(what, function):
                self.loaded.call(what, function, model, splits)
            changed, remedy = f"`{what}` changed the layers of the model", "let it train weights alone"
            check_as_before(before, model, changed, function, remedy)
        _check_weights(model, workload.name)
        shape = self.networks.checked(model, "trained teacher")[self.networks.outputs.primary].shape[1:]
        validation = check_teacher(self.networks.for_metric(model, splits.validation), splits, metric)
        outputs = self.networks.for_metric(model, splits.train)
        train = teacher_score(metric, outputs, splits.train.labels, "teacher on train")
        quality = {"train": train, "validation": validation}
        return {"quality": quality, "output_shape": shape, **self.networks.written(model, into)}


def _check_weights(model: nn.Module, name: str) -> None:
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(
                "the teacher's weights are not finite (NaN or infinity)",
                place=f"teacher of workload {name}, {key}",
                remedy="its training diverged: lower the learning rate in `train_teacher`, and check how "
                "inputs are scaled",
            )
