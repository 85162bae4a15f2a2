"""A job by Microsoft Olive 0.13, as far as Olive can express it. Runs in an environment of its own.

Olive searches how to quantize one ONNX model. With `--students` each student is also trained here, one after
the other in random order, and handed to Olive as another input model, until the time is up: that loop is
ours, Olive has none. The layout is the one that works in 0.13: joint order, random sampler, ONNX input, one
pass group. Telemetry is off.

    python olive_job.py --job DIR --into DIR --seconds 180 --seed 0
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import sys
import time
from pathlib import Path

os.environ["OLIVE_DISABLE_TELEMETRY"] = "1"
import torch
from olive.data.component.dataset import BaseDataset
from olive.data.registry import Registry
from peer_job import Job, TimeUpError, Wanted, load_job, needed, options_of, to_onnx, trained

CANDIDATES = 20
"""Of one input model: more than the valid points of the space below, so that each is tried once."""
ONE_THREAD = {
    "onnx": {
        "execution_provider": ["CPUExecutionProvider"],
        "session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1},
    }
}


@Registry.register_dataset()
def written_split(path: str, split: str):
    """A split that `write_splits` wrote, as Olive wants it: a list of (inputs, label)."""
    inputs, labels = torch.load(path, weights_only=True)[split]
    rows = range(len(labels))
    return BaseDataset([({name: v[row] for name, v in inputs.items()}, labels[row]) for row in rows])


@Registry.register_post_process()
def largest_logit(outputs, **_):
    return outputs.argmax(dim=1)


def write_splits(job: Job, path: Path) -> None:
    splits = {"validation": job.splits.validation, "calibration": job.splits.calibration.head(job.samples)}
    tensors = {
        name: ({n: torch.from_numpy(v) for n, v in split.inputs.items()}, torch.from_numpy(split.labels))
        for name, split in splits.items()
    }
    torch.save(tensors, path)


def data_config(path: Path, split: str):
    return {
        "name": split,
        "user_script": str(Path(__file__).resolve()),
        "load_dataset_config": {"type": "written_split", "params": {"path": str(path), "split": split}},
        "post_process_data_config": {"type": "largest_logit"},
        "dataloader_config": {"params": {"batch_size": 1}},
    }


def metrics(classes: int):
    """Accuracy, latency and size, all of them objectives."""
    accuracy = {"name": "accuracy_score", "priority": 1, "higher_is_better": True}
    accuracy["metric_config"] = {"task": "multiclass", "num_classes": classes}
    common = {"data_config": "validation", "user_config": {"inference_settings": ONE_THREAD}}
    latency = {"name": "avg", "priority": 2}
    return [
        {"name": "accuracy", "type": "accuracy", "sub_types": [accuracy], **common},
        {"name": "latency", "type": "latency", "sub_types": [latency], **common},
        {"name": "size", "type": "size_on_disk", "sub_types": [{"name": "bytes", "priority": 3}]},
    ]


def passes():
    """Static and dynamic quantization with the choices of our study, and those that Olive adds."""
    common = {"per_channel": True, "quant_preprocess": True}
    static = {"type": "OnnxStaticQuantization", "data_config": "calibration", **common}
    dynamic = {"type": "OnnxDynamicQuantization", **common, "per_channel": False}
    searched = {"precision": "SEARCHABLE_VALUES", "reduce_range": "SEARCHABLE_VALUES"}
    static.update(searched, quant_format="SEARCHABLE_VALUES", activation_type="SEARCHABLE_VALUES")
    static["calibrate_method"] = "SEARCHABLE_VALUES"
    return {"quantize": [static, {**dynamic, **searched}]}


def config(model: Path, data: Path, into: Path, seconds: float, classes: int):
    return {
        "input_model": {"type": "ONNXModel", "model_path": str(model)},
        "data_configs": [data_config(data, "validation"), data_config(data, "calibration")],
        "evaluators": {"all": {"metrics": metrics(classes)}},
        "evaluator": "all",
        "passes": passes(),
        "search_strategy": {
            "execution_order": "joint",
            "sampler": "random",
            "max_iter": CANDIDATES,
            "max_time": max(1, int(seconds)),
        },
        "cache_dir": str(into / "cache"),
        "output_dir": str(into / "out"),
        "log_severity_level": 2,
    }


def one_model(name: str, model: Path, data: Path, into: Path, seconds: float, classes: int):
    """Let Olive search one input model; one line for each node of its footprint."""
    into.mkdir()
    run = importlib.import_module("olive.workflows").run
    run(config(model, data, into, seconds, classes))
    footprint = json.loads(next((into / "out").rglob("footprint.json")).read_text())
    nodes = footprint.get("nodes", footprint)
    for node in nodes.values():
        choice = {"model": name, "pass": node["from_pass"] or "none", **settings(node)}
        yield {"choice": choice, "ended": node["end_time"], **facts(node, model)}


def settings(node):
    chosen = node.get("pass_run_config") or {}
    shown = ("precision", "quant_format", "calibrate_method", "reduce_range", "activation_type")
    return {key: chosen[key] for key in shown if chosen.get(key) is not None}


def facts(node, given: Path):
    """What a node of the footprint says: its metrics and its file, or that it failed.

    The input model's node names no file, and is on no front of Olive's: users would add it by hand, so it is
    counted here as a candidate.
    """
    described = node.get("model_config") or node.get("model_config_data") or {}
    path = Path(described["config"]["model_path"]) if "config" in described else given
    if described.get("is_pruned") or not node.get("metrics"):
        return {"error": "the pass failed, or its model was not evaluated"}
    values = {key: value["value"] for key, value in node["metrics"]["value"].items()}
    return {
        "file": model_file(path),
        "accuracy": values["accuracy-accuracy_score"],
        "latency_ms": values["latency-avg"],
        "size_bytes": values["size-bytes"],
    }


def model_file(path: Path) -> str:
    return str(next(path.glob("*.onnx")) if path.is_dir() else path)


def inputs(job: Job, *, students: bool) -> list[Wanted]:
    """The teacher, then everything that can be trained, in random order; the dense student of a pruned one
    before it, since it is trained anyway."""
    teacher, *rest = job.space.models()
    random.Random(job.seed).shuffle(rest)
    ordered = [step for wanted in rest for step in needed(job, wanted)] if students else []
    return list(dict.fromkeys([teacher, *ordered]))


class Inputs:
    """Hands one input model after the other to Olive, and writes candidates.jsonl; every line carries the
    seconds since the process was started."""

    def __init__(self, job: Job, into: Path, began: float) -> None:
        self.job, self.into, self.began = job, into, began
        self.data, self.log = into / "splits.pt", into / "candidates.jsonl"
        write_splits(job, self.data)

    def note(self, line) -> None:
        line.setdefault("finished_s", time.time() - self.began)
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def one(self, number: int, wanted: Wanted) -> None:
        before = time.perf_counter()
        model = trained(self.job, wanted)
        if wanted.trained:
            self.note({"trained": wanted.choice, "training_seconds": time.perf_counter() - before})
        path = self.into / f"input{number}" / "model.onnx"
        path.parent.mkdir()
        with contextlib.redirect_stdout(sys.stderr):
            to_onnx(model, self.job, path)
        left = self.job.deadline - time.time()
        if left <= 0:
            raise TimeUpError
        name = ", ".join(f"{axis}={value}" for axis, value in wanted.choice.items())
        try:
            for line in one_model(
                name, path, self.data, self.into / f"olive{number}", left, self.job.classes
            ):
                ended = line.pop("ended")
                self.note({**line, "finished_s": max(0.0, ended - self.began)} if ended else line)
        except Exception as error:
            self.note({"choice": {"model": name}, "error": f"{type(error).__name__}: {error}"[:500]})


def main() -> None:
    options = options_of(__doc__, "--students")
    into = options.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    job = load_job(options.job, seed=options.seed, deadline=options.began + options.seconds)
    importlib.import_module("olive.workflows")
    search = Inputs(job, into, options.began)
    with contextlib.suppress(TimeUpError):
        for number, wanted in enumerate(inputs(job, students=options.students)):
            search.one(number, wanted)
    search.note({"ended": True})


if __name__ == "__main__":
    main()
