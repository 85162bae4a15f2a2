"""A deterministic backend that has to be tuned, for tests: the toy's numbers, 30 times slower until it is.

A task is a weight's shape; a tuning writes one file for each. `PARETUNE_TUNE` makes it misbehave after so
many files ("hang 1", "crash 0", "nothing"), `PARETUNE_TRIAL_S` is what a trial takes, `PARETUNE_TUNED` what
the latency is multiplied by when all is tuned.
"""

import json
import os
import subprocess
import time
from dataclasses import replace

import onnx
from paretune.backends import contract
from paretune_toy import ToyBackend, ToySession

UNTUNED = 30.0
NAME = "tunable_backend:Tunable"


class Tunable(ToyBackend):
    name, title, tunable = "tunable", "Tunable", True
    artifact_name = "model.tuned"

    def precisions(self, profile):
        return super().precisions(profile)[:2]

    def tune(self, model, settings, tuning, known, into):
        deed, _, after = os.environ.get("PARETUNE_TUNE", "").partition(" ")
        ends = time.monotonic() + tuning.seconds
        wanted = tasks(onnx.load(model.path))
        earlier = {path.name for folder in known for path in folder.iterdir()} & set(wanted)
        for task in earlier:
            (into / task).write_text(json.dumps({"trials": 0}))
        open_ones = [task for task in wanted if not (into / task).exists()]
        trials = 0
        for number, task in enumerate(open_ones):
            if deed and int(after or 0) == number:
                act(deed)
            share = max(1, tuning.trials // len(open_ones))
            time.sleep(min(share * float(os.environ.get("PARETUNE_TRIAL_S", "0")), ends - time.monotonic()))
            trials += share
            if deed != "nothing":
                (into / task).write_text(json.dumps({"trials": share}))
            if time.monotonic() >= ends:
                break
        return {"tasks": len(wanted), "tasks_known": len(earlier), "trials": trials, "failed": 0}

    def convert(self, model, settings, calibration):
        made = super().convert(model, settings, calibration)
        proto = onnx.load_from_string(made.content)
        found = set() if model.tuned is None else {path.name for path in model.tuned.iterdir()}
        wanted = tasks(onnx.load(model.path))
        share = len(found & set(wanted)) / max(1, len(wanted))
        factor = UNTUNED + share * (float(os.environ.get("PARETUNE_TUNED", "0.5")) - UNTUNED)
        told = {prop.key: prop.value for prop in proto.metadata_props}
        onnx.helper.set_model_props(proto, {**told, "factor": repr(factor)})
        return replace(made, content=proto.SerializeToString(deterministic=True))

    def open(self, artifact, batch, threads):
        session = ToySession(artifact)
        told = {prop.key: prop.value for prop in onnx.load(artifact).metadata_props}
        session.simulated_ns = int(session.simulated_ns * float(told["factor"]))
        return contract.of_batch(session, batch)


def tasks(proto):
    return sorted({"x".join(map(str, one.dims)) for one in proto.graph.initializer if len(one.dims) > 1})


def act(deed):
    if deed == "hang":
        helper = subprocess.Popen(["sleep", "600"])
        print(f"helper {helper.pid}", file=os.sys.stderr, flush=True)
        time.sleep(600)
    if deed == "crash":
        os.abort()
    if deed == "full":
        raise OSError(28, "No space left on device")
