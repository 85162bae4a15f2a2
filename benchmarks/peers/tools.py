"""Runs each tool once on a job, for a number of seconds, and collects what it says it found, and when."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import uuid
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml
from paretune.search.ranking.known import complete_trials
from paretune.search.record.evaluation import TrialRecord
from paretune.search.run.stored import open_run
from paretune.search.store.store import Store

from .jobs import CHECKOUT, Setup
from .running import run_tool
from .scoring import Candidate

HERE = Path(__file__).resolve().parent
GRACE_S = 120.0
"""A tool that has not ended so long after its time is killed; what it wrote until then counts."""
OUTSIDE = "within no stage"
LINES = "candidates.jsonl"
"""What a peer writes, a line per candidate or training."""


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
    # Two tools that start at once may both set it: the link is put in place whole.
    fresh = importable.with_name(uuid.uuid4().hex)
    fresh.symlink_to(CHECKOUT)
    fresh.replace(importable)
    return python


@dataclass(kw_only=True)
class Result:
    """What a run gave; `stages` are the seconds that its record tells of each stage, where there is one."""

    candidates: list[Candidate] = field(default_factory=list)
    trainings: int = 0
    training_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a tool: what it starts from, where it works, for how long, and by which seed."""

    setup: Setup
    folder: Path
    seconds: float
    seed: int
    title: str = ""


def ours(run: Run) -> Result:
    """`paretune run` with the seconds as its time, told from which accuracy on a point counts."""
    folder, setup = run.folder, run.setup
    budget = {**setup.study["budget"], "time": f"{run.seconds:g} s"}
    reference = {"accuracy": f"{100 * setup.floor:.4g} %"}
    study = {**setup.study, "budget": budget, "seed": run.seed, "reference": reference}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    shutil.copytree(setup.store, folder / "store")
    command = [sys.executable, "-m", "paretune.cli", "run", folder / "study.yaml"]
    lease = folder / "lease"  # its own, so that it waits for no other study
    lease.mkdir()
    began, most, environ = time.time(), run.seconds + GRACE_S, {"PARETUNE_LEASE_DIR": str(lease)}
    failures = run_tool(command, folder, most, title=run.title, **environ)
    found = recorded(folder, began, time.time(), run.seconds)
    found.failures[:0] = failures
    return found


def recorded(folder: Path, began: float, ended: float, seconds: float) -> Result:
    """What the record of our study tells; what it finished after its time does not count."""
    record, _ = open_run(folder / "study.yaml")
    evaluations = [trial.evaluation for trial in record.trials]
    failed = [found for found in evaluations if found.outcome.value == "failed"]
    counters, store = record.counters, Store(Path(record.store))
    candidates = [_ours(trial, store, began) for trial in complete_trials(record)]
    return Result(
        candidates=[candidate for candidate in candidates if candidate.finished_s <= seconds],
        trainings=int(counters.get("trainings", 0)),
        training_seconds=counters.get("training_seconds", 0.0),
        stages=stage_seconds(Path(record.store), began, ended),
        failures=[f"{found.candidate.title}: {found.stage}: {found.cause}" for found in failed],
    )


def _ours(trial: TrialRecord, store: Store, began: float) -> Candidate:
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
        finished_s=trial.started + trial.seconds - began,
    )


def stage_seconds(store: Path, began: float, until: float) -> dict[str, float]:
    """What the stages took whose results a store got since `began`, those of untrained weights too, and what
    of the time until `until` lies within none of them."""
    found: dict[str, float] = {}
    manifests = [json.loads(path.read_text()) for path in store.glob("*/*/manifest.json")]
    made = [(one["created"] - one["seconds"], one["created"], one["stage"]) for one in manifests]
    covered, last = 0.0, began
    for start, end, stage in sorted(one for one in made if one[1] >= began):
        found[stage] = found.get(stage, 0.0) + end - start
        covered += max(0.0, end - max(last, start))
        last = max(last, end)
    return {**found, OUTSIDE: until - began - covered}


def optuna_script(run: Run) -> Result:
    return _peer([sys.executable, HERE / "plain_optuna.py"], run)


def olive(run: Run, *, students: bool) -> Result:
    work = run.setup.folder.parent
    command = [olive_python(work), HERE / "olive_job.py", *(["--students"] if students else [])]
    return _peer(command, run, PYTHONPATH=str(work / "importable"))


def _peer(command: Sequence[str | Path], run: Run, **environ: str) -> Result:
    options = ["--job", run.setup.folder, "--into", run.folder, "--seconds", f"{run.seconds:g}"]
    options += ["--seed", str(run.seed), "--began", repr(time.time())]
    failures = run_tool([*command, *options], run.folder, run.seconds + GRACE_S, title=run.title, **environ)
    found = read_lines(run.folder / LINES, run.seconds)
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
            told = ("accuracy", "latency_ms", "size_bytes", "finished_s")
            said = {key: line[key] for key in told}
            file, backend = path.parent / line["file"], choice.get("backend", "ort")
            result.candidates.append(Candidate(title=title, backend=backend, file=file, **said))
    return result


TOOLS: Mapping[str, Callable[[Run], Result]] = {
    "ours": ours,
    "optuna": optuna_script,
    "olive": partial(olive, students=False),
    "olive-students": partial(olive, students=True),
}
