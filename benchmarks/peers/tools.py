"""Runs each tool once on the digits job, for a number of seconds, and collects what it says it found.

What every tool starts from is made once and counted for none: the trained teacher, and environments.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from paretune import open_run
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.precision import Precision
from paretune.search.job.job import load_job
from paretune.search.ranking.known import complete_trials
from paretune.search.record.evaluation import TrialRecord
from paretune.search.record.progress import Progress
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.store.store import Store

from .digits_job import load_job as load_peers_job
from .digits_job import to_onnx
from .scoring import Box, Candidate, accuracy_of

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
EXAMPLES = CHECKOUT / "examples"
GRACE_S = 120.0
"""A tool that has not ended so long after its time is killed; what it wrote until then counts."""
LINES = "candidates.jsonl"
"""What a peer writes, a line per candidate or training."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What all tools start from, below `folder`: a store with the trained teacher, its weights, the box."""

    folder: Path
    study: Mapping[str, Any]
    job: Any
    box: Box

    @property
    def teacher(self) -> Path:
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
    shutil.copy(models.teacher.entry().file("weights.safetensors"), folder / "teacher.safetensors")
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


@dataclass(kw_only=True)
class Result:
    candidates: list[Candidate] = field(default_factory=list)
    trainings: int = 0
    training_seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


def run_tool(command: Sequence[str | Path], folder: Path, seconds: float, **environ: str) -> list[str]:
    """Run a tool; what it said last, where it failed or had to be killed."""
    log = folder / "output.log"
    # A thread per library for everyone: the machine is small, and candidates are measured on one.
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environ}
    with log.open("wb") as file:
        try:
            done = subprocess.run(
                list(map(str, command)), cwd=folder, env=variables, stdout=file, stderr=file, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return [f"killed after {seconds:.0f} s: {last_words(log)}"]
    # Ours ends with 2 or 3 where limits are not met; there are none here.
    return [] if done.returncode == 0 else [f"exit status {done.returncode}: {last_words(log)}"]


def last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:] if log.is_file() else ""


def ours(setup: Setup, folder: Path, seconds: float, seed: int) -> Result:
    """`paretune run` with the budget as its time, told from which accuracy on a point counts."""
    study = {**setup.study, "budget": {"time": f"{seconds:g} s"}, "seed": seed}
    study["reference"] = {"accuracy": f"{100 * setup.box.floor:.4g} %"}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    shutil.copytree(setup.folder / "store", folder / "store")
    command = [sys.executable, "-m", "paretune.cli", "run", folder / "study.yaml"]
    failures = run_tool(command, folder, seconds + GRACE_S)
    record, _ = open_run(folder / "study.yaml")
    ended = [trial.evaluation for trial in record.trials]
    failed = [found for found in ended if found.outcome.value == "failed"]
    counters, store = record.counters, Store(Path(record.store))
    return Result(
        candidates=[_ours(trial, store) for trial in complete_trials(record)],
        trainings=int(counters.get("trainings", 0) + counters.get("finetunings", 0)),
        training_seconds=counters.get("training_seconds", 0.0),
        failures=failures + [f"{found.candidate.title}: {found.stage}: {found.cause}" for found in failed],
    )


def _ours(trial: TrialRecord, store: Store) -> Candidate:
    evaluation = trial.evaluation
    entry = store.get("compile", evaluation.artifact_key)
    assert entry is not None
    return Candidate(
        title=evaluation.candidate.title,
        backend=evaluation.candidate.backend,
        file=entry.file(entry.meta["file"]),
        accuracy=evaluation.metrics["accuracy"].value,
        latency_ms=evaluation.metrics["latency_ms"].value,
        size_bytes=int(evaluation.metrics["size_bytes"].value),
    )


def optuna_script(setup: Setup, folder: Path, seconds: float, seed: int) -> Result:
    return _peer([sys.executable, HERE / "naive_optuna.py"], setup, folder, seconds, seed)


def olive(setup: Setup, folder: Path, seconds: float, seed: int, *, students: bool) -> Result:
    work = setup.folder.parent
    command = [olive_python(work), HERE / "olive_job.py", *(["--students"] if students else [])]
    return _peer(command, setup, folder, seconds, seed, PYTHONPATH=str(work / "importable"))


def _peer(
    command: Sequence[str | Path], setup: Setup, folder: Path, seconds: float, seed: int, **environ: str
) -> Result:
    options = ["--workload", EXAMPLES / "digits.py", "--teacher", setup.teacher, "--into", folder]
    options += ["--seconds", f"{seconds:g}", "--seed", str(seed)]
    failures = run_tool([*command, *options], folder, seconds + GRACE_S, **environ)
    found = read_lines(folder / LINES, seconds)
    found.failures[:0] = failures
    return found


def read_lines(path: Path, seconds: float) -> Result:
    """What a peer wrote line by line; what it finished after its time does not count."""
    result = Result()
    for line in map(json.loads, path.read_text().splitlines() if path.is_file() else ()):
        result.trainings += bool(line.get("trained"))
        result.training_seconds += line.get("training_seconds", 0.0)
        if line["finished_s"] > seconds:
            continue
        choice = line.get("choice", {})
        title = ", ".join(f"{key}={value}" for key, value in choice.items())
        if "error" in line:
            result.failures.append(f"{title}: {line['error']}")
        elif "file" in line:
            said = {key: line[key] for key in ("accuracy", "latency_ms", "size_bytes")}
            file, backend = path.parent / line["file"], choice.get("backend", "ort")
            result.candidates.append(Candidate(title=title, backend=backend, file=file, **said))
    return result


TOOLS: dict[str, Callable[[Setup, Path, float, int], Result]] = {
    "ours": ours,
    "optuna": optuna_script,
    "olive": partial(olive, students=False),
    "olive-students": partial(olive, students=True),
}
