"""The jobs that tools are compared on, and what all start from: the trained teacher, counted for none."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.job.job import load_job
from paretune.search.record.progress import Progress
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.store.store import Store

from benchmarks.command import tell

from .peer_job import SOFT, TEACHER, to_onnx
from .peer_job import load_job as load_peers_job
from .scoring import POINTS_UNDER_TEACHER, Box, answers

CHECKOUT = Path(__file__).resolve().parents[2]
STUDIES, EXAMPLES = CHECKOUT / "benchmarks" / "data" / "peers", CHECKOUT / "examples"


JOBS = {
    "digits": STUDIES / "digits.yaml",
    "trec": STUDIES / "trec.yaml",
    "spoken-digits": STUDIES / "spoken_digits.yaml",
}
"""Study files; the time of their budget is what each tool gets."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all tools start from, below `folder`: the study file, a store with the trained teacher, its
    weights and its outputs over `train`. `floor` is the accuracy on validation from which on a point counts,
    `seconds` what a tool gets."""

    folder: Path
    study: Mapping[str, Any]
    seconds: float
    job: Any
    box: Box
    floor: float

    @property
    def store(self) -> Path:
        return self.folder / "store"


def study_of(file: Path, data: Path | None) -> dict[str, Any]:
    """The job's study, with the workload where it lies, and its data.

    Raises:
        UserError: data are given to a workload that takes none.
    """
    study: dict[str, Any] = yaml.safe_load(file.read_text())
    named = study["workload"]
    named = dict(named) if isinstance(named, Mapping) else {"file": named}
    named["file"] = str(EXAMPLES / named["file"])
    if data is not None and "options" not in named:
        raise UserError("this job brings its own data", place="--data", found=str(data), accepted="no --data")
    if data is not None:
        named["options"] = {**named["options"], "data": str(data.resolve())}
    return {**study, "workload": named, "store": "store", "finalists": 1}


def set_up(study: Mapping[str, Any], folder: Path) -> Setup:
    """Train the teacher into a store, by our own code, unless it is there; export and score it in fp32."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(dict(study)))
    tell(f"setting up in {folder}; where the teacher is not trained yet, this takes minutes")
    job = load_job(folder / "study.yaml")
    models = TorchModels(job.loaded, Store(job.places.store), Progress(), threads=1)
    models.prepare(job.space)
    shutil.copy(models.teacher.soft_targets().file("outputs.npy"), folder / SOFT)
    shutil.copy(models.teacher.entry().file("weights.safetensors"), folder / TEACHER)
    peers_job = load_peers_job(folder)
    file = _teacher_file(peers_job, folder)
    right = {name: answers("ort", file, getattr(peers_job.splits, name)) for name in ("validation", "test")}
    accuracy = {name: float(found.mean()) for name, found in right.items()}
    box = Box(file=file, accuracy=accuracy["test"], size_bytes=file.stat().st_size)
    floor = accuracy["validation"] - POINTS_UNDER_TEACHER
    seconds = job.file.budget.time or 0.0
    return Setup(folder=folder, study=study, seconds=seconds, job=peers_job, box=box, floor=floor)


def _teacher_file(job: Any, folder: Path) -> Path:
    to_onnx(job.teacher, job, folder / "float.onnx")
    with RunnerClient(LocalLaunch()) as runner:
        model = SourceModel(path=folder / "float.onnx", format="onnx")
        calibration = dict(job.splits.calibration.inputs)
        settings = CompileSettings(precision=Precision.FP32)
        return Path(runner.compile("ort", model, settings, calibration, folder).path)
