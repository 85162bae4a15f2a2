"""Zero-cost proxies of a workload's networks as they are before their training, kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ....profiles.errors import UnsupportedError
from ....profiles.guard.user_code import UserCodeError, user_code
from ...record.candidate import Candidate, Recipe
from ...record.protocols import GUESS_RATE
from ...store.store import Store
from ..network.model_size import model_size
from ..network.predict import tensors
from ..network.programs import refuse_program
from ..network.reproducible import make_unequal, reproducible
from ..proxies.proxies import BATCHES, proxies_of
from . import keys
from .base import Note
from .teacher import Teacher

STAGE = "proxies"
_MOST_MACS = 1e9
"""Multiply-adds of one pass of the teacher over a batch, which is the largest with less, or the smallest."""
_PASSES = 4  # forward twice, backward, and the flow of a sample
_LOOK_SECONDS, _CUT_SECONDS = 0.05, 0.5
"""What a look takes beside its arithmetic, and what cutting a student out of the teacher for it."""


class UntrainedLooks:
    """Looks at networks before they are trained. Where students are cut out of the teacher, they are looked
    at with the weights of the trained one, as they start with these; else with untrained weights, the teacher
    too."""

    def __init__(self, teacher: Teacher, store: Store, recipe: Recipe) -> None:
        self.teacher, self.networks, self.store, self.seed = teacher, teacher.networks, store, recipe.seed
        self._derived = teacher.loaded.workload.student is None

    def at(self, candidate: Candidate, note: Note) -> dict[str, float]:
        """The proxies of the candidate's network by name; none where its code raises. `note` is told the
        entry of the store."""
        if not self.batch:
            return {}
        key = self._key(candidate)

        def make(into: Path) -> Mapping[str, Any]:
            model = self._network(candidate)
            refuse_program(model, "whose norms and units are not seen as those of students are")
            with (
                user_code("a look at the untrained network", function=model),
                reproducible(self.seed, self.networks.threads),
            ):
                return {"proxies": proxies_of(model, tensors(self._inputs()))}

        try:
            entry = self.store.produce(STAGE, key, self.networks.provenance(model=key), make)
        except (UserCodeError, UnsupportedError):
            return {}
        note(entry)
        return {str(name): float(value) for name, value in entry.meta["proxies"].items()}

    def seconds(self, macs: int) -> float:
        """What a look at a network of so many multiply-adds takes, before any was taken."""
        made = _LOOK_SECONDS + _CUT_SECONDS * self._derived
        return made + _PASSES * self.batch * macs / GUESS_RATE

    @cached_property
    def batch(self) -> int:
        """Samples in the batch, the same for all networks of the workload (0: there are too few)."""
        known = self.networks.sizes.get(((), "dense"))
        macs = (known or model_size(self.networks.build(()), self.networks.sample(1)))["macs"]
        can = [count for count in BATCHES if count <= len(self.teacher.loaded.splits.train)]
        return next((count for count in can if count * macs <= _MOST_MACS), can[-1] if can else 0)

    def _inputs(self) -> dict[str, Any]:
        """Samples from all over the training split, which may be sorted."""
        split = self.teacher.loaded.splits.train
        rows = np.linspace(0, len(split) - 1, self.batch).round().astype(int)
        return {name: array[rows] for name, array in split.inputs.items()}

    def _network(self, candidate: Candidate) -> nn.Module:
        networks, student = self.networks, candidate.student
        if self._derived:
            model = self.teacher.model()
            model = networks.cut_out(model, student) if student else model
        else:
            model = networks.build(student, self.seed) if student else networks.fresh_teacher(self.seed)
            with reproducible(self.seed, networks.threads):
                make_unequal(model)  # of what starts as zeros nothing can be told
        networks.sparsify(model, candidate)
        return model

    def _key(self, candidate: Candidate) -> str:
        weights = self.teacher.key if self._derived else f"seed {self.seed}"
        data = self.teacher.loaded.data_digests["train"]
        return keys.proxies_key(self.networks.untrained_key(candidate), weights, data, self.batch)
