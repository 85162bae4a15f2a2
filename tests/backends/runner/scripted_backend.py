"""A backend for the runner's tests: misbehaves for real, as the artifact's text says."""

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np
from paretune.backends.contract.backend import Artifact, Availability, Backend, Session, TensorSpec
from paretune.profiles.errors import StageError, UnsupportedError, UserError


def act(what):
    if what == "segfault":
        ctypes.string_at(0)
    if what == "abort":
        os.abort()
    if what == "hang":
        time.sleep(600)
    if what == "hang-in-c":  # holds the interpreter's lock: no thread of ours can run
        ctypes.PyDLL(None).sleep(600)
    if what == "hog":
        kept = []
        while True:
            kept.append(np.ones(2**22))
    if what == "hog-in-c":  # as a C++ runtime does it: no memory, then abort
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        for _ in range(10_000):
            block = libc.malloc(ctypes.c_size_t(2**24))
            if not block:
                print("terminate called: std::bad_alloc", file=sys.stderr, flush=True)
                os.abort()
            ctypes.memset(block, 1, 2**24)
    if what == "exit":
        os._exit(3)
    if what == "raise":
        raise RuntimeError("the kernel does not like this model")
    if what == "refuse":
        raise UnsupportedError("no such operator: Gargle")
    if what == "disagree":
        raise StageError("compile", "artifact disagrees with the float model: SQNR -3.0 dB")
    if what == "disagree-with-log":
        raise StageError("compile", "the builder gave up", "the builder's own words")
    if what == "mend":
        raise UserError("the licence is missing", remedy="buy one")
    if what == "print":
        print("runtime says hello on standard output", flush=True)
        os.write(1, b"and again without Python\n" * 1000)
    if what == "read-input":
        assert sys.stdin.read() == ""
    if what == "child":  # a helper process that would outlive a plain kill
        pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")
        print(f"helper {pid}", file=sys.stderr, flush=True)
        time.sleep(600)


class ScriptedSession(Session):
    def __init__(self, script, batch):
        self.script, self.rows, self.runs = script, batch, 0
        self.inputs = (TensorSpec(name="x", dtype="float32", shape=(batch, 3)),)
        self.outputs = (TensorSpec(name="y", dtype="float32", shape=(batch, 3)),)
        self.takes, self.slower_after = int(script.get("simulated_ns", 0)), int(script.get("slower_after", 0))
        if "options" in script:  # takes all that it is told, but for one
            self.taken = {**script["options"], "lanes": "8"}
        if script.get("keep"):
            self.kept = np.ones(int(script["keep"]), dtype=np.uint8)

    @property
    def simulated_ns(self):  # twice as long after so many runs
        return self.takes * (1 + (0 < self.slower_after < self.runs)) or None

    def _run(self, feed):
        self.runs += 1
        if self.script.get("run_bytes"):
            np.ones(int(self.script["run_bytes"]), dtype=np.uint8).sum()
        if self.script.get("leak"):
            self.leaked = [*getattr(self, "leaked", ()), np.ones(int(self.script["leak"]), dtype=np.uint8)]
        act(self.script.get("run"))
        if "affinity" in self.script:
            return {"y": np.full((self.rows, 3), float(len(os.sched_getaffinity(0))), np.float32)}
        return {"y": feed["x"] * 2 + self.runs * 1000 * ("count" in self.script)}

    def close(self):
        act(self.script.get("close"))


def script_of(path):
    return dict(line.split("=") for line in Path(path).read_text().split())


class ScriptedBackend(Backend):
    name = "scripted"
    source_format = "scripted"

    def availability(self):
        return Availability(installed=True)

    def compile(self, model, settings, calibration, into):
        script = script_of(model.path)
        act(script.get("compile"))
        path = into / "scripted.bin"
        total = 0.0 if calibration is None else float(calibration["x"].sum())
        path.write_text(model.path.read_text() + f" total={total:g}")
        if model.tuned is not None:
            path.write_text(f"{path.read_text()} tuned={len(list(model.tuned.iterdir()))}")
        return Artifact(
            path=path,
            backend=self.name,
            precision=settings.precision,
            size_bytes=path.stat().st_size,
            weight_bytes={"int8": 5},
            notes=("one note",),
            versions={"scripted": "1"},
        )

    tunable = True

    def tune(self, model, settings, tuning, known, into):
        script = script_of(model.path)
        for number in range(int(script.get("rounds", 1))):
            (into / f"round{number}.txt").write_text(f"threads={os.environ['OMP_NUM_THREADS']}")
        act(script.get("tune"))
        return {"trials": tuning.trials, "known": sum(len(list(folder.iterdir())) for folder in known)}

    def open(self, artifact, batch, threads, options=None):
        script = script_of(artifact)
        if options is not None:
            script["options"] = dict(options)
        act(script.get("open"))
        return ScriptedSession(script, batch)
