"""A model that exists only as ONNX."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....backends.contract.backend import ONNX, Backend
from ....profiles.errors import InternalError
from ...record.candidate import Candidate
from ...record.evaluation import Quantity
from ...record.protocols import MilestoneJudge
from ...record.treatment import QatPlan
from ...space.space import Space
from ...store.store import Entry
from ...workload.loader import onnx_path
from ...workload.onnx_file import write_as_one
from ..device.keys import export_key
from .base import Models, Note, exact


class OnnxModels(Models):
    """A model that exists only as ONNX: nothing is trained."""

    @property
    def path(self) -> Path:
        """The user's ONNX file."""
        return onnx_path(self.loaded.workload, self.loaded.directory)

    def prepare(self, space: Space) -> None:
        """Nothing to train, and `check_data` has seen everything."""

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
        """The user's file, with weights that lie beside it taken in."""
        if qat is not None:
            raise InternalError("a model that exists only as ONNX cannot be trained")
        if backend.source_format != ONNX:
            raise InternalError(f"an ONNX file was asked for as {backend.source_format}")
        key = export_key(self.loaded.source_digest, ONNX, 0, {})

        def make(into: Path) -> Mapping[str, Any]:
            write_as_one(self.path, into / "model.onnx")
            return {"file": "model.onnx", "format": ONNX}

        found = self.store.produce("export", key, {"file": str(self.path)}, make)
        note(found)
        return found

    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        return {"parameters": exact(self._parameters(), "counted in the ONNX file")}

    def teacher_facts(self) -> dict[str, Any]:
        return {"parameters": self._parameters(), "file": self.path.name}

    def _parameters(self) -> int:
        import onnx

        model = onnx.load(self.path, load_external_data=False)
        return sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
