"""The search that a good engineer writes in an afternoon: plain Optuna, each trial made from scratch.

Every trial trains its student, exports it, quantizes it, scores it on validation and times 300 runs.

    python naive_optuna.py --workload FILE.py --teacher FILE.safetensors --into DIR --seconds 180 --seed 0
"""

from __future__ import annotations

import json
import statistics
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import optuna
from digits_job import DEPTHS, WIDTHS, Job, load_job, make_model, options_of, to_onnx

RUNS, WARM_UP = 300, 30
FLOAT_ENDS = [
    {"regex": ".*", "operation": end, "algorithm_key": "no_quantize", "op_config": {}}
    for end in ("INPUT", "OUTPUT")
]


def suggest(trial):
    """One point of the space of examples/digits.yaml that the script knows how to build."""
    choice = {"model": trial.suggest_categorical("model", ["student", "teacher"])}
    if choice["model"] == "student":
        choice["width"] = trial.suggest_categorical("width", list(WIDTHS))
        choice["depth"] = trial.suggest_categorical("depth", list(DEPTHS))
    choice["sparsity"] = trial.suggest_categorical("sparsity", ["dense", "channel:0.5"])
    choice["backend"] = trial.suggest_categorical("backend", ["ort", "tflite"])
    choice["precision"] = trial.suggest_categorical("precision", ["fp32", "int8", "int8-dynamic"])
    if choice["backend"] == "ort" and choice["precision"] == "int8":
        choice["calibration"] = trial.suggest_categorical("calibration", ["MinMax", "Percentile"])
    return choice


def compile_ort(model, job: Job, choice, folder: Path) -> Path:
    """The documented way: pre-processing, reduced range, unsigned weights for dynamic convolutions."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, ready, path = folder / "float.onnx", folder / "ready.onnx", folder / "model.onnx"
    to_onnx(model, source)
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    if choice["precision"] == "fp32":
        return ready.rename(path)
    if choice["precision"] == "int8-dynamic":
        quantization.quantize_dynamic(str(ready), str(path), weight_type=quantization.QuantType.QUInt8)
        return path

    class Reader(quantization.CalibrationDataReader):
        feeds = ({"image": image[None]} for image in job.calibration)

        def get_next(self):
            return next(self.feeds, None)

    method = getattr(quantization.CalibrationMethod, choice["calibration"])
    settings = {"quant_format": quantization.QuantFormat.QDQ, "per_channel": True, "reduce_range": True}
    quantization.quantize_static(str(ready), str(path), Reader(), calibrate_method=method, **settings)
    return path


def compile_tflite(model, job: Job, choice, folder: Path) -> Path:
    import litert_torch
    import torch
    from ai_edge_quantizer import quantizer, recipe

    source, path = folder / "float.tflite", folder / "model.tflite"
    litert_torch.convert(model, (torch.zeros(1, 1, 8, 8),)).export(str(source))
    if choice["precision"] == "fp32":
        return source.rename(path)
    static = choice["precision"] == "int8"
    rules = recipe.static_wi8_ai8() if static else recipe.dynamic_wi8_afp32()
    tool = quantizer.Quantizer(str(source), [*rules, *FLOAT_ENDS])
    feeds = [{"args_0": image[None]} for image in job.calibration]
    ranges = tool.calibrate({"serving_default": feeds}) if static else None
    path.write_bytes(tool.quantize(ranges).quantized_model)
    return path


def session(backend: str, path: Path):
    """A function from one image to its outputs, on one thread."""
    if backend == "ort":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        run = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run
        return lambda image: run(None, {"image": image})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run_tflite(image):
        interpreter.set_tensor(into["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(out["index"])

    return run_tflite


def measure(backend: str, path: Path, split) -> tuple[float, float]:
    """Accuracy over a split, and the median of 300 runs in milliseconds."""
    run, images = session(backend, path), split.inputs["image"]
    told = [int(run(image[None]).argmax()) for image in images]
    for _ in range(WARM_UP):
        run(images[:1])
    times = []
    for _ in range(RUNS):
        before = time.perf_counter()
        run(images[:1])
        times.append(time.perf_counter() - before)
    return float(np.mean(told == split.labels)), statistics.median(times) * 1000


def evaluate(trial, job: Job, into: Path, seed: int):
    """Train, compile, measure one candidate; what is known of it, with a file in a folder of its own."""
    choice = suggest(trial)
    folder = into / f"trial{trial.number}"
    folder.mkdir(parents=True)
    pruned, before = choice["sparsity"] != "dense", time.perf_counter()
    model = make_model(job, choice.get("width"), choice.get("depth"), pruned=pruned, seed=seed)
    trained = time.perf_counter() - before
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # the converters' progress
        compiler = compile_ort if choice["backend"] == "ort" else compile_tflite
        path = compiler(model, job, choice, folder)
    accuracy, latency_ms = measure(choice["backend"], path, job.splits.validation)
    found = {"accuracy": accuracy, "latency_ms": latency_ms, "size_bytes": path.stat().st_size}
    fresh = choice["model"] == "student" or pruned
    return {"choice": choice, "file": str(path), **found, "trained": fresh, "training_seconds": trained}


def search(job: Job, into: Path, seconds: float, seed: int) -> None:
    """Trials until the time is up; one line of candidates.jsonl each."""
    begun, log = time.perf_counter(), into / "candidates.jsonl"

    def objective(trial):
        try:
            line = evaluate(trial, job, into, seed)
        except Exception as error:
            line = {"choice": trial.params, "error": f"{type(error).__name__}: {error}"[:500]}
        line["finished_s"] = time.perf_counter() - begun
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if "error" in line:
            raise optuna.TrialPruned
        return line["accuracy"], line["latency_ms"], line["size_bytes"]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = ["maximize", "minimize", "minimize"]
    study = optuna.create_study(directions=directions, sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, timeout=seconds)


def main() -> None:
    options = options_of(__doc__)
    options.into.mkdir(parents=True, exist_ok=True)
    job = load_job(options.workload, options.teacher)
    import litert_torch  # noqa: F401 - the import takes seconds that belong to no trial

    search(job, options.into, options.seconds, options.seed)


if __name__ == "__main__":
    main()
