"""A model that exists only as ONNX."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....backends.contract.backend import ONNX, Backend
from ....profiles.errors import InternalError, UnsupportedError, UserError
from ...record.candidate import Candidate
from ...record.evaluation import Quantity
from ...record.protocols import MilestoneJudge
from ...record.treatment import QatPlan
from ...space.space import Space
from ...store.store import Entry, content_key
from ...workload.loader import onnx_path
from ...workload.onnx_file import read_onnx
from ...workload.outputs import OutputChoice
from ...workload.task import Seen, Task, task_or_unknown
from ..device.keys import export_key
from .base import Models, Note, exact
from .onnx_usable import Usable, usable

if TYPE_CHECKING:
    from ....backends.onnx_graph.prepare import Prepared

CHECK_VERSION = 1


class OnnxModels(Models):
    """A model that exists only as ONNX: nothing is trained."""

    @property
    def path(self) -> Path:
        """The user's ONNX file."""
        return onnx_path(self.loaded.workload, self.loaded.directory)

    @property
    def outputs(self) -> OutputChoice:
        return self._usable.choice

    @cached_property
    def task(self) -> Task:
        """By labels, metric and a run over a few samples; nothing hangs on it but what reports say beside
        the metric."""
        workload, split = self.loaded.workload, self.loaded.splits.validation
        outputs = self._usable.few[self.outputs.primary]
        seen = Seen(outputs=outputs, labels=split.head(len(outputs)).labels)
        return task_or_unknown(split.labels, outputs.shape[1:], workload.metric, workload.stated_task, seen)

    @cached_property
    def prepared(self) -> Prepared:
        """The file as everything after takes it.

        Raises:
            UserError: that cannot be made of it.
        """
        from ....backends.onnx_graph.prepare import prepare

        inputs = self.loaded.splits.train.inputs
        try:
            return prepare(read_onnx(self.path), {name: array.shape for name, array in inputs.items()})
        except UnsupportedError as error:
            raise UserError("the ONNX model cannot be used", place=self._place, found=error.reason) from error

    def prepare(self, space: Space) -> None:
        """Run the float model on validation, and check its outputs as those of a trained teacher are.

        Raises:
            UserError: it does not run, its outputs do not fit the labels, or it is no better than chance.
        """
        for note in self._usable.notes:
            self.progress.note(note)
        _ = self._checked
        self.say_purpose()

    def exported(
        self,
        candidate: Candidate,
        backend: Backend,
        batch: int,
        *,
        trained: bool,
        note: Note,
        judge: MilestoneJudge | None = None,
        qat: QatPlan | None = None,
    ) -> Entry:
        """The prepared file, the output that is scored before the others."""
        if qat is not None:
            raise InternalError("a model that exists only as ONNX cannot be trained")
        if backend.source_format != ONNX:
            raise InternalError(f"an ONNX file was asked for as {backend.source_format}")

        def make(into: Path) -> Mapping[str, Any]:
            (into / "model.onnx").write_bytes(self._usable.content)
            return {"file": "model.onnx", "format": ONNX}

        found = self.store.produce("export", self._export_key, {"file": str(self.path)}, make)
        note(found)
        return found

    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        return {"parameters": exact(self._parameters, "counted in the ONNX file")}

    def teacher_facts(self) -> dict[str, Any]:
        return {
            "parameters": self._parameters,
            "file": self.path.name,
            "quality": self._checked["quality"],
            "came_as": self.prepared.came_as or ("quantized" if self.prepared.quantized else "float32"),
            **self.purpose_facts(),
        }

    def remarks(self) -> tuple[str, ...]:
        return self._usable.notes

    @property
    def _place(self) -> str:
        return f"ONNX model of workload {self.loaded.workload.name}"

    @cached_property
    def _parameters(self) -> int:
        import onnx

        model = onnx.load(self.path, load_external_data=False)
        return sum(math.prod(tensor.dims) for tensor in model.graph.initializer)

    @cached_property
    def _usable(self) -> Usable:
        return usable(
            self.path, self.prepared, self.loaded.splits.validation, self.loaded.workload, self._place
        )

    @cached_property
    def _checked(self) -> Mapping[str, Any]:
        """Quality on validation and remarks, of this run or an earlier one."""
        splits, digests = self.loaded.splits, self.loaded.data_digests

        def make(into: Path) -> Mapping[str, Any]:
            self.progress.stage("check the ONNX model")
            return {"quality": {"validation": self._usable.quality(splits, self.metric, self._place)}}

        fields = {
            "model": self._export_key,
            "data": {name: digests[name] for name in ("train", "validation")},
            "metric": self.metric.digest,
        }
        if self.outputs.digest:
            fields["outputs"] = list(self.outputs.digest)
        key = content_key("check", CHECK_VERSION, fields)
        return self.store.produce("check", key, {"file": str(self.path)}, make).meta

    @cached_property
    def _export_key(self) -> str:
        """A file that needs no preparation has the key that it always had."""
        content, source = self._usable.content, self.loaded.source_digest
        changed = content != self.path.read_bytes()
        made = {"prepared": hashlib.sha256(content).hexdigest()} if changed else {}
        return export_key(source, ONNX, 0, made)
