"""Where a candidate's float model comes from: trained in PyTorch, or given as an ONNX file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..profiles.errors import InternalError
from .candidate import Candidate, Recipe
from .contract import RungJudge, Training
from .evaluation import Quantity
from .onnx_file import write_whole
from .progress import Progress
from .space import Space
from .stages.device_keys import export_key
from .stages.export import export
from .stages.model_stages import ModelStages
from .stages.training import Control
from .stages.trainings import Trainings
from .store import Entry, Store
from .workload import Array, Metric, Split
from .workload_checks import check_onnx, check_splits
from .workload_loader import LoadedWorkload, onnx_path

SAMPLE_ROWS = 8
Note = Callable[[Entry], Any]


class Models(ABC):
    """Float models and data of one workload. `prepare` must be called before anything is exported."""

    def __init__(self, loaded: LoadedWorkload, progress: Progress) -> None:
        self.loaded, self.progress = loaded, progress
        self._store: Store | None = None

    @property
    def metric(self) -> Metric:
        """The workload's quality metric."""
        return self.loaded.workload.metric

    @property
    def store(self) -> Store:
        """The store of the study."""
        if self._store is None:
            raise InternalError("models are used before `prepare`")
        return self._store

    def check(self) -> None:
        """Check what can be checked without training or writing anything.

        Raises:
            UserError: an error in the workload, with its place and remedy.
        """
        check_splits(self.loaded.splits, self.metric)

    def prepare(self, store: Store, space: Space, should_stop: Callable[[], bool]) -> None:
        """Check teacher and students on the study's own store; trains the teacher where it must be."""
        self._store = store
        self._prepare(space, should_stop)

    @abstractmethod
    def _prepare(self, space: Space, should_stop: Callable[[], bool]) -> None: ...

    @abstractmethod
    def trains(self, candidate: Candidate) -> bool:
        """Whether the candidate needs training beyond the teacher's own."""

    @abstractmethod
    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """The trainings that the candidate needs beyond the teacher's own, in order, with those that are
        done. Cheap: trains and builds nothing."""

    @abstractmethod
    def exported(
        self,
        candidate: Candidate,
        source_format: str,
        batch: int,
        *,
        trained: bool,
        note: Note,
        judge: RungJudge | None = None,
    ) -> Entry:
        """The float model in a backend's source format; `meta` has "file" and "format".

        With `trained` false it has the structure and untrained weights. `note` is told each entry made or
        found on the way. `judge` may end a training at its rungs (None: it never does).

        Raises:
            TrainingStopped: the judge gave a training up; a later call goes on from there.
        """

    @abstractmethod
    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        """Parameters and multiply-adds of the float model."""

    @abstractmethod
    def teacher_facts(self) -> dict[str, Any]:
        """What reports say about the teacher."""

    def split(self, name: str) -> tuple[Split, str]:
        """A split and its content digest."""
        return getattr(self.loaded.splits, name), self.loaded.data_digests[name]

    def calibration(self) -> tuple[Mapping[str, Array], str]:
        """Calibration inputs and their content digest."""
        split, digest = self.split("calibration")
        return split.inputs, digest


class TorchModels(Models):
    """Models that PyTorch trains."""

    def __init__(self, loaded: LoadedWorkload, progress: Progress, threads: int | None) -> None:
        super().__init__(loaded, progress)
        self._threads = threads
        self._stages: ModelStages | None = None
        self._trainings: Trainings | None = None
        self._sizes: dict[tuple[object, str], dict[str, Quantity]] = {}

    @property
    def stages(self) -> ModelStages:
        """The stages that make models."""
        if self._stages is None:
            raise InternalError("models are used before `prepare`")
        return self._stages

    def _prepare(self, space: Space, should_stop: Callable[[], bool]) -> None:
        control = Control(should_stop=should_stop, progress=self.progress.stage)
        self._stages = ModelStages(
            loaded=self.loaded, store=self.store, threads=self._threads, control=control
        )
        self._trainings = Trainings(self._stages)
        recipes: set[Recipe] = {c.recipe for c in space.trainings() if c.recipe is not None}
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
    ) -> Entry:
        """The candidate's float model, exported from PyTorch."""
        stages = self.stages
        entry = stages.trained(candidate, note, judge) if trained else None
        model_key = entry.key if entry else stages.untrained_key(candidate)
        key = export_key(model_key, source_format, batch, _versions(_EXPORTERS[source_format]))

        def make(into: Path) -> Mapping[str, Any]:
            self.progress.stage("export")
            model = stages.load(entry, candidate) if entry else stages.untrained(candidate)
            sample = self.loaded.splits.train.head(max(batch, SAMPLE_ROWS)).inputs
            source = export(model, sample, source_format, batch, into)
            return {"file": source.path.name, "format": source.format}

        provenance = {"candidate": candidate.title, "model": model_key}
        found = self.store.produce("export", key, provenance, make)
        note(found)
        return found

    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        """Parameters and multiply-adds, counted on the structure."""
        key = (candidate.student, candidate.sparsity)
        if key not in self._sizes:
            counted = self.stages.size(candidate)
            self._sizes[key] = {name: _exact(value, "counted") for name, value in counted.items()}
        return self._sizes[key]

    def teacher_facts(self) -> dict[str, Any]:
        """Quality on train and validation in PyTorch, parameters, multiply-adds, seconds of training."""
        return dict(self.stages.teacher().meta)


class OnnxModels(Models):
    """A model that exists only as ONNX: nothing is trained."""

    @property
    def path(self) -> Path:
        """The user's ONNX file."""
        return onnx_path(self.loaded.workload, self.loaded.directory)

    def check(self) -> None:
        """Check the data, and that it fits the model's inputs."""
        super().check()
        check_onnx(self.path, self.loaded.splits, self.loaded.workload)

    def _prepare(self, space: Space, should_stop: Callable[[], bool]) -> None:
        pass  # nothing to train, and `check` has seen everything

    def trains(self, candidate: Candidate) -> bool:
        """Never."""
        return False

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """None."""
        return ()

    def exported(
        self,
        candidate: Candidate,
        source_format: str,
        batch: int,
        *,
        trained: bool,
        note: Note,
        judge: RungJudge | None = None,
    ) -> Entry:
        """The user's file, with weights that lie beside it taken in."""
        if source_format != "onnx":
            raise InternalError(f"an ONNX file was asked for as {source_format}")
        key = export_key(self.loaded.source_digest, source_format, batch, {})

        def make(into: Path) -> Mapping[str, Any]:
            write_whole(self.path, into / "model.onnx")
            return {"file": "model.onnx", "format": "onnx"}

        found = self.store.produce("export", key, {"file": str(self.path)}, make)
        note(found)
        return found

    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        """Parameters, counted in the file."""
        return {"parameters": _exact(self._parameters(), "counted in the ONNX file")}

    def teacher_facts(self) -> dict[str, Any]:
        """What the file tells."""
        return {"parameters": self._parameters(), "file": self.path.name}

    def _parameters(self) -> int:
        import math

        import onnx

        model = onnx.load(self.path, load_external_data=False)
        return sum(math.prod(tensor.dims) for tensor in model.graph.initializer)


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


def _exact(value: float, how: str) -> Quantity:
    return Quantity(value=value, low=value, high=value, how=how)


def load_models(loaded: LoadedWorkload, progress: Progress, threads: int | None) -> Models:
    """The kind of models that the workload brings."""
    if loaded.workload.onnx is not None:
        return OnnxModels(loaded, progress)
    return TorchModels(loaded, progress, threads)
