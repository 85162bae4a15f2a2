"""What every tool starts from, made once and counted for none: the trained teacher, and environments."""

from __future__ import annotations

import shutil
import subprocess
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.precision import Precision
from paretune.search.job.job import load_job
from paretune.search.record.progress import Progress
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.store.store import Store

from .digits_job import load_job as load_peers_job
from .digits_job import to_onnx
from .scoring import Box, accuracy_of

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
EXAMPLES = CHECKOUT / "examples"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all tools start from, below `folder`: a store with the trained teacher, its weights, the box."""

    folder: Path
    study: Mapping[str, Any]
    job: Any
    box: Box

    @property
    def teacher(self) -> Path:
        """The teacher's weights."""
        return self.folder / "teacher.safetensors"


def set_up(work: Path) -> Setup:
    """Train the teacher into a store, by our own code; export and score it in fp32."""
    folder = work / "setup"
    folder.mkdir(parents=True, exist_ok=True)
    study = yaml.safe_load((EXAMPLES / "digits.yaml").read_text())
    for unwanted in ("constraints", "prefer"):
        study.pop(unwanted, None)
    study.update(workload=str(EXAMPLES / "digits.py"), store="store", finalists=1)
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    job = load_job(folder / "study.yaml")
    models = TorchModels(job.loaded, Store(job.places.store), Progress(), threads=1)
    models.prepare(job.space)
    models.teacher.soft_targets()
    shutil.copy(models.teacher.entry().path / "weights.safetensors", folder / "teacher.safetensors")
    peers_job = load_peers_job(EXAMPLES / "digits.py", folder / "teacher.safetensors")
    return Setup(folder=folder, study=study, job=peers_job, box=_box(peers_job, folder))


def _box(job: Any, folder: Path) -> Box:
    to_onnx(job.teacher, folder / "float.onnx")
    with RunnerClient(LocalLaunch()) as runner:
        model = SourceModel(path=folder / "float.onnx", format="onnx")
        calibration = dict(job.splits.calibration.inputs)
        artifact = runner.compile(
            "ort", model, CompileSettings(precision=Precision.FP32), calibration, folder
        )
    test = job.splits.test
    accuracy = accuracy_of("ort", artifact.path, test.inputs["image"], test.labels)
    return Box(file=artifact.path, accuracy=accuracy, size_bytes=artifact.path.stat().st_size)


def olive_python(work: Path) -> Path:
    """The interpreter of Olive's own environment, made where it is missing."""
    folder, wanted = work / "olive", HERE / "olive_requirements.txt"
    python, made = folder / "bin" / "python", folder / "requirements.txt"
    if not made.is_file() or made.read_text() != wanted.read_text():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True)
        shutil.copy(wanted, made)
    # The workload's file imports names of ours that need numpy alone; none of our dependencies is installed.
    importable = work / "importable" / "paretune"
    importable.parent.mkdir(exist_ok=True)
    importable.unlink(missing_ok=True)
    importable.symlink_to(CHECKOUT)
    return python
