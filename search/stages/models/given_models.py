"""A model that exists only as a file: it is what it is, and nothing is trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ....profiles.errors import InternalError
from ...record.candidate import Candidate
from ...record.evaluation import Quantity
from ...space.space import Space
from ...store.store import content_key
from ...workload.outputs import OutputChoice
from ...workload.task import Seen, Task, task_or_unknown
from .base import Models, exact

if TYPE_CHECKING:
    from .usable import Usable

CHECK_VERSION = 1


class GivenModels(Models):
    """A model that exists only as a file. `title` is what messages call its format."""

    title: ClassVar[str]

    @property
    @abstractmethod
    def usable(self) -> Usable:
        """The model, seen to run on the data.

        Raises:
            UserError: it does not.
        """

    @property
    @abstractmethod
    def export_key(self) -> str:
        """Content key of the model as it is compiled from."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """The number of its weights."""

    @property
    @abstractmethod
    def came_as(self) -> str:
        """The type of its weights in the file, or "quantized"."""

    @property
    def path(self) -> Path:
        """The user's file."""
        if self.loaded.given is None:
            raise InternalError("a model that PyTorch builds was taken for a file")
        return self.loaded.given

    @property
    def place(self) -> str:
        """What messages call the model."""
        return f"{self.title} model of workload {self.loaded.workload.name}"

    @property
    def outputs(self) -> OutputChoice:
        return self.usable.choice

    @cached_property
    def task(self) -> Task:
        """By labels, metric and a run over a few samples; nothing hangs on it but what reports say beside
        the metric."""
        workload, split = self.loaded.workload, self.loaded.splits.validation
        outputs = self.usable.few[self.outputs.primary]
        seen = Seen(outputs=outputs, labels=split.head(len(outputs)).labels)
        return task_or_unknown(split.labels, outputs.shape[1:], workload.metric, workload.stated_task, seen)

    def prepare(self, space: Space) -> None:
        """Run the float model on validation, and check its outputs as those of a trained teacher are.

        Raises:
            UserError: it does not run, its outputs do not fit the labels, or it is no better than chance.
        """
        for note in self.usable.notes:
            self.progress.note(note)
        _ = self._checked
        self.say_purpose()

    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        return {"parameters": exact(self.parameters, f"counted in the {self.title} file")}

    def teacher_facts(self) -> dict[str, Any]:
        return {
            "parameters": self.parameters,
            "file": self.path.name,
            "quality": self._checked["quality"],
            "came_as": self.came_as,
            **self.purpose_facts(),
        }

    def remarks(self) -> tuple[str, ...]:
        return self.usable.notes

    @cached_property
    def _checked(self) -> Mapping[str, Any]:
        """Quality on validation and remarks, of this run or an earlier one."""
        splits, digests = self.loaded.splits, self.loaded.data_digests

        def make(into: Path) -> Mapping[str, Any]:
            self.progress.stage(f"check the {self.title} model")
            return {"quality": {"validation": self.usable.quality(splits, self.metric, self.place)}}

        fields = {
            "model": self.export_key,
            "data": {name: digests[name] for name in ("train", "validation")},
            "metric": self.metric.digest,
        }
        if self.outputs.digest:
            fields["outputs"] = list(self.outputs.digest)
        key = content_key("check", CHECK_VERSION, fields)
        return self.store.produce("check", key, {"file": str(self.path)}, make).meta
