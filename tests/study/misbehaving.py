"""The toy backend, with crashes: `study.misbehaving:Misbehaving` in a study file.

`TOY_SCRIPT` says what happens: JSON, "<precision or *>/<compile, open or run>" to a key of `DEEDS`,
or "kill-once".
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from paretune.backends.contract import of_batch
from paretune.profiles.errors import UnsupportedError
from paretune_toy import ToyBackend, ToySession

BACKEND = "study.misbehaving:Misbehaving"
MISBEHAVING = {
    "student": {"width": [4, 8, 16]},
    "precision": ["fp32", "int8", "int4-weight"],
    "backend": [BACKEND],
    "calibration": {"samples": [16]},
}


def refuse():
    raise UnsupportedError("the script refuses this")


def kill_once(mark):
    """SIGKILL to this process, where no earlier one has left this mark."""
    with contextlib.suppress(FileExistsError):
        Path(os.environ["TOY_MARKS"], mark).touch(exist_ok=False)
        os.kill(os.getpid(), signal.SIGKILL)


DEEDS = {
    "refuse": refuse,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: sys.exit(0),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": os.abort,
    "hang": lambda: time.sleep(36_000),
    "oom": lambda: [np.ones(8 << 20) for _ in iter(int, 1)],
}


def misbehave(precision, stage):
    script = json.loads(os.environ.get("TOY_SCRIPT", "{}"))
    deed = script.get(f"{precision}/{stage}") or script.get(f"*/{stage}")
    if deed == "kill-once":
        kill_once(f"{precision}-{stage}")
    elif deed:
        DEEDS[deed]()


class Misbehaving(ToyBackend):
    def convert(self, model, settings, calibration):
        misbehave(settings.precision, "compile")
        return super().convert(model, settings, calibration)

    def open(self, artifact, batch, threads):
        return of_batch(MisbehavingSession(artifact), batch)


class MisbehavingSession(ToySession):
    def __init__(self, artifact):
        super().__init__(artifact)
        misbehave(self.precision, "open")

    def _run(self, feed):
        misbehave(self.precision, "run")
        return super()._run(feed)
