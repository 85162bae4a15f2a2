"""A model that exists only as ONNX."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....backends.contract.backend import ONNX, Backend
from ....backends.registry import get_backend
from ....profiles.errors import InternalError, StageError, UnsupportedError, UserError
from ....profiles.guard.user_code import UserCodeError
from ....profiles.packages import versions
from ...record.candidate import Candidate
from ...record.evaluation import Masked
from ...record.protocols import MilestoneJudge
from ...record.treatment import QatPlan
from ...space.possible import PossibleSpace
from ...space.space import Space
from ...store.store import Entry
from ...workload.onnx_file import read_onnx
from ..device.keys import export_key
from .base import Note
from .given_models import GivenModels
from .onnx_usable import usable
from .usable import Usable

if TYPE_CHECKING:
    from ....backends.onnx_graph.prepare import Prepared


def _why(error: Exception) -> str:
    return getattr(error, "reason", "") or getattr(error, "cause", "") or str(error)


class OnnxModels(GivenModels):
    """A model that exists only as ONNX: nothing is trained."""

    title = "ONNX"

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
            raise UserError("the ONNX model cannot be used", place=self.place, found=error.reason) from error

    def possible(self, space: Space, batch: int = 1) -> PossibleSpace:
        """The space without the backends that the model cannot be brought to, which is tried here."""
        left, masked = [], []
        for choices in space.backends:
            backend = get_backend(choices.name)
            try:
                if choices.precisions and backend.source_format != ONNX:
                    self._converted(backend, batch)
            except (UnsupportedError, StageError, UserCodeError) as error:
                masked.append(Masked(backend=choices.name, what="all", reason=_why(error)))
            else:
                left.append(choices)
        if not masked:
            return PossibleSpace(space=space)
        return PossibleSpace(space=replace(space, backends=tuple(left), masked=(*space.masked, *masked)))

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
            converted = self._converted(backend, batch)
            note(converted)
            return converted

        def make(into: Path) -> Mapping[str, Any]:
            (into / "model.onnx").write_bytes(self.usable.content)
            return {"file": "model.onnx", "format": ONNX}

        found = self.store.produce("export", self.export_key, {"file": str(self.path)}, make)
        note(found)
        return found

    def _converted(self, backend: Backend, batch: int) -> Entry:
        """The prepared file in the format of a backend that does not read ONNX."""
        found = versions(backend.exporters)
        tools = {"onnx converter": backend.onnx_converter().version, **found}
        key = export_key(self.export_key, backend.source_format, batch * backend.fixed_batch, tools)

        def make(into: Path) -> Mapping[str, Any]:
            from .from_onnx import converted  # torch takes seconds to load

            self.progress.stage(f"convert the ONNX model to {backend.source_title}")
            few = self.usable.few
            sample = self.loaded.splits.validation.head(len(few[self.outputs.primary])).inputs
            return converted(backend, self.usable.content, sample, few, batch, into)

        return self.store.produce("export", key, {"file": str(self.path)}, make)

    @property
    def came_as(self) -> str:
        return self.prepared.came_as or ("quantized" if self.prepared.quantized else "float32")

    @cached_property
    def parameters(self) -> int:
        import onnx

        model = onnx.load(self.path, load_external_data=False)
        return sum(math.prod(tensor.dims) for tensor in model.graph.initializer)

    @cached_property
    def usable(self) -> Usable:
        return usable(
            self.path, self.prepared, self.loaded.splits.validation, self.loaded.workload, self.place
        )

    @cached_property
    def export_key(self) -> str:
        """A file that needs no preparation has the key that it always had."""
        content, source = self.usable.content, self.loaded.source_digest
        changed = content != self.path.read_bytes()
        made = {"prepared": hashlib.sha256(content).hexdigest()} if changed else {}
        return export_key(source, ONNX, 0, made)
