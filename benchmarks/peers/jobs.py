"""The jobs that tools are compared on, and what all start from: the trained teacher, counted for none."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
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

from benchmarks.command import earlier_figures, tell, write_figures

from .peer_job import SOFT, TEACHER, load_workload, to_onnx
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
    box: Box
    floor: float

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @cached_property
    def test(self) -> Any:
        """The test split, loaded once."""
        return load_workload(self.study["workload"]).splits().test


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
    """What was set up from this study before, else: train the teacher into a store, by our own code, export
    it, and score it in fp32."""
    kept, asked = folder / "setup.json", digest_of(study)
    found = earlier_figures(kept)
    if found.pop("asked", None) != asked:
        tell(f"setting up in {folder}; where the teacher is not trained yet, this takes minutes")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.yaml").write_text(yaml.safe_dump(dict(study)))
        found = _made(folder)
        write_figures(kept, {**found, "asked": asked})
    box = Box(file=folder / found["file"], accuracy=found["test"], size_bytes=found["size_bytes"])
    floor = found["validation"] - POINTS_UNDER_TEACHER
    return Setup(folder=folder, study=study, seconds=found["seconds"], box=box, floor=floor)


def digest_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]


def _made(folder: Path) -> dict[str, Any]:
    job = load_job(folder / "study.yaml")
    models = TorchModels(job.loaded, Store(job.places.store), Progress(), threads=1)
    models.prepare(job.space)
    shutil.copy(models.teacher.soft_targets().file("outputs.npy"), folder / SOFT)
    shutil.copy(models.teacher.entry().file("weights.safetensors"), folder / TEACHER)
    peers_job = load_peers_job(folder)
    file = _teacher_file(peers_job, folder)
    right = {name: answers("ort", file, getattr(peers_job.splits, name)) for name in ("validation", "test")}
    accuracy = {name: float(found.mean()) for name, found in right.items()}
    facts = {"file": file.name, "size_bytes": file.stat().st_size, "seconds": job.file.budget.time or 0.0}
    return {**accuracy, **facts}


def _teacher_file(job: Any, folder: Path) -> Path:
    to_onnx(job.teacher, job, folder / "float.onnx")
    with RunnerClient(LocalLaunch()) as runner:
        model = SourceModel(path=folder / "float.onnx", format="onnx")
        calibration = dict(job.splits.calibration.inputs)
        settings = CompileSettings(precision=Precision.FP32)
        return Path(runner.compile("ort", model, settings, calibration, folder).path)
