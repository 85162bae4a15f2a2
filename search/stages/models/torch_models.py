"""Models that PyTorch trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import nn

from ....profiles.errors import InternalError
from ...record.candidate import Candidate, Recipe
from ...record.evaluation import Quantity
from ...record.progress import Progress
from ...record.protocols import GUESS_RATE, RungJudge, Training
from ...record.treatment import QatPlan
from ...space.space import Space
from ...store.store import Entry
from ...workload.loader import LoadedWorkload
from ..device.keys import export_key
from ..training.fake_quantize import qat_bits
from ..training.loop import Control
from .base import Models, Note, exact
from .export import export
from .needed_trainings import Trainings
from .qat import STAGE as QAT_STAGE
from .qat import QatStages
from .students import ModelStages

SAMPLE_ROWS = 8
STEP_SECONDS = 2e-3
"""What a training step takes beside its arithmetic, before anything was seen."""


class TorchModels(Models):
    """Models that PyTorch trains."""

    def __init__(self, loaded: LoadedWorkload, progress: Progress, threads: int | None) -> None:
        super().__init__(loaded, progress)
        self._threads = threads
        self._stages: ModelStages | None = None
        self._trainings: Trainings | None = None
        self._qat_stages: QatStages | None = None
        self._sizes: dict[tuple[object, str], dict[str, Quantity]] = {}

    @property
    def stages(self) -> ModelStages:
        """The stages that make models."""
        if self._stages is None:
            raise InternalError("models are used before `prepare`")
        return self._stages

    @property
    def qat_stages(self) -> QatStages:
        """Quantization-aware training on top of them."""
        if self._qat_stages is None:
            raise InternalError("models are used before `prepare`")
        return self._qat_stages

    def _prepare(self, space: Space, should_stop: Callable[[], bool]) -> None:
        control = Control(should_stop=should_stop, progress=self.progress.stage)
        self._stages = ModelStages(
            loaded=self.loaded, store=self.store, threads=self._threads, control=control
        )
        self._trainings = Trainings(self._stages)
        recipes: set[Recipe] = {c.recipe for c in space.trainings() if c.recipe is not None}
        self._qat_stages = QatStages(self._stages, space.recipe)
        recipe = min(recipes, key=lambda r: (-r.learning_rate, r.temperature)) if recipes else None
        students = sorted({c.student for c in space.trainings() if c.student}, key=str)
        self._stages.prepare(students, recipe)

    def trains(self, candidate: Candidate) -> bool:
        """Whether the candidate needs training beyond the teacher's own."""
        return self.stages.trains(candidate)

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """First that of the dense student, then that of the sparse model."""
        if self._trainings is None:
            raise InternalError("models are used before `prepare`")
        return self._trainings.of(candidate)

    def exported(
        self,
        candidate: Candidate,
        source_format: str,
        batch: int,
        *,
        trained: bool,
        note: Note,
        judge: RungJudge | None = None,
        qat: QatPlan | None = None,
    ) -> Entry:
        """The candidate's float model, exported from PyTorch."""
        stages = self.stages
        entry = self._trained(candidate, note, judge, qat) if trained else None
        model_key = entry.key if entry else stages.untrained_key(candidate)
        key = export_key(model_key, source_format, batch, _versions(_EXPORTERS[source_format]))

        def make(into: Path) -> Mapping[str, Any]:
            self.progress.stage("export")
            model = self._loaded(entry, candidate)
            sample = self.loaded.splits.train.head(max(batch, SAMPLE_ROWS)).inputs
            source = export(model, sample, source_format, batch, into)
            return {"file": source.path.name, "format": source.format}

        provenance = {"candidate": candidate.title, "model": model_key}
        found = self.store.produce("export", key, provenance, make)
        note(found)
        return found

    def _trained(
        self, candidate: Candidate, note: Note, judge: RungJudge | None, plan: QatPlan | None
    ) -> Entry:
        entry = self.stages.trained(candidate, note, judge)
        return entry if plan is None else self.qat_stages.trained_qat(candidate, plan, note)

    def _loaded(self, entry: Entry | None, candidate: Candidate) -> nn.Module:
        if entry is None:
            return self.stages.untrained(candidate)
        if entry.stage == QAT_STAGE:
            return self.qat_stages.load_qat(entry, candidate)
        return self.stages.load(entry, candidate)

    def float_quality(self, candidate: Candidate) -> float | None:
        """As it was taken when training ended."""
        if candidate.is_teacher:
            return float(self.stages.teacher().meta["quality"]["validation"])
        return self.trainings(candidate)[-1].quality

    def qat_plan(self, candidate: Candidate, epochs: int) -> QatPlan | None:
        """Fake quantization knows steps per channel alone."""
        bits = qat_bits(candidate.precision) if candidate.per_channel else None
        return QatPlan(weight_bits=bits[0], activation_bits=bits[1], epochs=epochs) if bits else None

    def simulated(self, candidate: Candidate, plan: QatPlan) -> float:
        """On validation, in PyTorch with fake quantization switched on."""
        entry = self.qat_stages.trained_qat(candidate, plan, lambda entry: None)
        return float(entry.meta["quality"]["validation"])

    def epoch_seconds(self, candidate: Candidate) -> float | None:
        """From the training that made it where that is known, else from its multiply-adds."""
        recipe, trainings = candidate.recipe, self.trainings(candidate)
        last = trainings[-1] if trainings else None
        if recipe is not None and last is not None and last.seconds:
            epochs = recipe.finetune_epochs if last.kind == "prune" else recipe.epochs
            return last.seconds / max(1, epochs)
        samples = len(self.loaded.splits.train)
        steps = samples / (recipe or self.qat_stages.fallback).batch
        return self.stages.size(candidate)["macs"] * samples / GUESS_RATE + steps * STEP_SECONDS

    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        """Parameters and multiply-adds, counted on the structure."""
        key = (candidate.student, candidate.sparsity)
        if key not in self._sizes:
            counted = self.stages.size(candidate)
            self._sizes[key] = {name: exact(value, "counted") for name, value in counted.items()}
        return self._sizes[key]

    def teacher_facts(self) -> dict[str, Any]:
        """Quality on train and validation in PyTorch, parameters, multiply-adds, seconds of training."""
        return dict(self.stages.teacher().meta)

    def remarks(self) -> tuple[str, ...]:
        """What is remarkable about the teacher's soft targets, once they were made."""
        return self.stages.teacher_remarks()


_EXPORTERS = {
    "onnx": ("torch", "onnx", "onnxscript"),
    "tflite": ("torch", "litert-torch", "litert-converter"),
}


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
