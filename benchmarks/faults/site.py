"""One study on disk, its commands as child processes, and kills of them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.faults.warm import Warm

STUDY: dict[str, Any] = {
    "name": "digits",
    "workload": "workload.py",
    "space": {
        "student": {"width": [8, 16, 24]},
        "sparsity": ["dense", "channel:0.5"],
        "precision": ["fp32", "fp16", "int8"],
        "backend": ["ort", "tflite"],
        "calibration": {"samples": [64]},
        "distill": {"temperature": [4], "weight": [0.7]},
    },
    "training": {"epochs": 4, "finetune_epochs": 2, "learning_rate": 0.005, "batch": 50, "threads": 1},
    "constraints": ["accuracy >= 60 %", "latency <= 85 % of teacher"],
    "budget": {"trials": 20},
    "stop": "never",
    "finalists": 2,
    "measure": {"rounds": 9, "finalist_rounds": 12, "processes": 3},
}
DRIVER, GROUP, RUNNER = "driver", "driver and runners", "runner"


class Site:
    """A directory with the workload, a study of it, its run and its store."""

    def __init__(
        self, folder: Path, log: Path, study: Mapping[str, Any] = STUDY, warm: Warm | None = None
    ) -> None:
        self.folder, self.log, self.warm = folder, log, warm
        self.environment: dict[str, str] = {}
        self.nights = log.with_name("nights.log")  # of studies of their own
        folder.mkdir(parents=True, exist_ok=True)
        if study is STUDY:
            shutil.copy(Path(__file__).with_name("workload.py"), folder)
        self.study = folder / f"{study['name']}.yaml"
        self.study.write_text(yaml.safe_dump({**study, "store": "store"}))
        self.store, self.run_dir = folder / "store", folder / "runs" / study["name"]
        self.database, self.report = self.run_dir / "study.db", self.run_dir / "report"
        self.bundle, self.exported = self.run_dir / "bundle", self.folder / "exported"

    def start(self, *arguments: object, log: Path | None = None) -> Any:
        """A `psutil.Popen` of a command, or a `Job` where there is a warm server."""
        if self.warm is not None:
            return self.warm.start([*map(str, arguments)], self.folder, log or self.log, self.environment)
        command = [sys.executable, "-m", "paretune.cli", *map(str, arguments)]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **self.environment}
        with self.log.open("a") as log:
            log.write(f"$ paretune {' '.join(map(str, arguments))}\n")
            log.flush()
            return psutil.Popen(
                command, cwd=self.folder, env=variables, stdout=log, stderr=log, start_new_session=True
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.is_file() else ""


def wait_for(process: Any, condition: Callable[[], bool], poll_s: float, limit_s: float = 300) -> bool:
    """Whether the condition came about while the process lived."""
    deadline = time.monotonic() + limit_s
    while process.poll() is None:
        if condition():
            return True
        if time.monotonic() > deadline:
            raise TimeoutError("neither the condition nor the end of the process came about")
        time.sleep(poll_s)
    return False


def kill(process: Any, victim: str, rng: random.Random) -> bool:
    """SIGKILL to the victim; False where there is none. All but a runner's kill end the process."""
    runners = process.children(recursive=True) if process.is_running() else []
    if victim == RUNNER:
        if runners:
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(runners).kill()
                return True
        return False
    if process.poll() is not None:
        return False
    os.kill(process.pid, signal.SIGKILL)
    if victim == GROUP:
        for runner in runners:
            with contextlib.suppress(psutil.NoSuchProcess):
                runner.kill()
    process.wait()
    psutil.wait_procs(runners, timeout=20)
    return True


def end(process: Any) -> None:
    """Leave nothing running."""
    if process is not None and process.poll() is None:
        kill(process, GROUP, random.Random())


def unkilled(site: Site, *arguments: object) -> int:
    """Exit status of a command that runs to its end."""
    process = site.start(*arguments)
    try:
        process.wait(timeout=900)
        return int(process.returncode)
    finally:
        end(process)
