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
from ...record.protocols import MilestoneJudge
from ...record.treatment import QatPlan
from ...store.store import Entry
from ...workload.onnx_file import read_onnx
from ..device.keys import export_key
from .base import Note
from .given_models import GivenModels
from .onnx_usable import usable
from .usable import Usable

if TYPE_CHECKING:
    from ....backends.onnx_graph.prepare import Prepared


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
            (into / "model.onnx").write_bytes(self.usable.content)
            return {"file": "model.onnx", "format": ONNX}

        found = self.store.produce("export", self.export_key, {"file": str(self.path)}, make)
        note(found)
        return found

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
