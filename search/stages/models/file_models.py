"""A model that exists only as a file in a backend's own format."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ....backends.contract.backend import Array, Backend
from ....backends.contract.given import GivenFile, GivenTensor
from ....backends.registry import get_backend, given_to
from ....profiles.errors import InternalError
from ...record.candidate import Candidate
from ...record.progress import Progress
from ...record.protocols import MilestoneJudge
from ...record.treatment import QatPlan
from ...store.store import Entry, Store
from ...workload.loader import LoadedWorkload
from ...workload.split_checks import Taken, check_inputs
from ...workload.workload import Split
from ..device.given_run import GivenRun
from ..device.keys import export_key
from .base import Note
from .given_models import GivenModels
from .onnx_outputs import meant
from .usable import LOOKED_AT, Usable, again


class FileModels(GivenModels):
    """A model that exists only as a file in the format of `backend`, which runs it and, where it is float,
    makes other precisions of it. Numbers that the file takes and gives as codes are converted outside it."""

    def __init__(self, loaded: LoadedWorkload, store: Store, progress: Progress, backend: str) -> None:
        super().__init__(loaded, store, progress)
        self.backend = backend

    @property
    def title(self) -> str:  # type: ignore[override]
        return get_backend(self.backend).source_title

    @cached_property
    def given(self) -> GivenFile:
        """What the file holds.

        Raises:
            UserError: no workload can have it.
        """
        return given_to(self.backend, self.path)

    def check_inputs(self) -> None:
        """Raise UserError where the splits' inputs are not those of the file."""
        inputs = {tensor.name: _taken(tensor) for tensor in self.given.inputs}
        check_inputs(inputs, self.loaded.splits, self.place, f"the {self.title} file")

    @property
    def came_as(self) -> str:
        return "quantized" if self.given.quantized else "float32"

    @property
    def parameters(self) -> int:
        return self.given.parameters

    @cached_property
    def usable(self) -> Usable:
        workload, split = self.loaded.workload, self.loaded.splits.validation
        sample, batch = split.head(LOOKED_AT), self.given.batch or 1
        run = GivenRun(self.backend, self._closed(batch), self.given, self.place)
        few = run.outputs(sample.inputs, batch)
        choice = meant(few, sample.labels, workload, self.place)
        coded = [one for one in self.given.outputs if one.coded]
        quantized = f"the model was handed in quantized ({self.given.quantized}): it is measured as it is"
        return Usable(
            content=self.path.read_bytes(),
            run=run,
            batch=batch,
            choice=replace(
                choice.laid_out(few),
                decoded={one.name: one.numbers for one in coded},
                codes={one.name: (one.scale, one.zero_point) for one in coded},
            ),
            few={name: few[name] for name in choice.names},
            notes=(
                *([f"{quantized}, as-given"] if self.given.quantized else []),
                *self.given.notes,
                *again(run, sample, batch, choice.primary, few[choice.primary]),
            ),
        )

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
        """The file for inputs of this batch: as it is, where it has that already."""
        if qat is not None or backend.source_format != self.given.source_format:
            raise InternalError(f"a {self.title} file can neither be trained nor had as another format")
        name = f"model.{backend.source_format}"
        content = backend.as_source(self.path, self._shapes(batch))

        def make(into: Path) -> Mapping[str, Any]:
            (into / name).write_bytes(content)
            return {"file": name, "format": backend.source_format}

        found = self.store.produce("export", self._key(content), {"file": str(self.path)}, make)
        note(found)
        return found

    @property
    def export_key(self) -> str:
        return self._key(self.usable.content)

    def _key(self, content: bytes) -> str:
        made = {"content": hashlib.sha256(content).hexdigest()}
        return export_key(self.loaded.source_digest, self.given.source_format, 0, made)

    def split(self, name: str) -> tuple[Split, str]:
        """A split with inputs as the file takes them, and the digest of what was given."""
        split, digest = super().split(name)
        return replace(split, inputs=self.given.fed(split.inputs)), digest

    def calibration(self) -> tuple[Mapping[str, Array], str]:
        split, digest = self.split("calibration")
        return split.inputs, digest

    def _shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        inputs = self.loaded.splits.train.inputs
        return {name: (batch, *array.shape[1:]) for name, array in inputs.items()}

    def _closed(self, batch: int) -> Path:
        """The file where all its axes have a size, else one beside it all that has them."""
        content = get_backend(self.backend).as_source(self.path, self._shapes(batch))
        if content == self.path.read_bytes():
            return self.path
        self._aside = tempfile.TemporaryDirectory()  # as long as this object
        closed = Path(self._aside.name) / self.path.name
        closed.write_bytes(content)
        return closed


def _taken(tensor: GivenTensor) -> Taken:
    sizes = tuple(size if size > 0 else None for size in tensor.shape)
    shape = sizes[1:] if sizes else None
    return Taken(dtype=tensor.dtype, shape=shape, also=("float32", "float64") if tensor.coded else ())
