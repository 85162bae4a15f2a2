"""The search that a good engineer writes in a day: plain Optuna that remembers what it has trained.

TPE proposes a model with a backend and a precision. A model is trained once, exported once for each backend,
and then tried in every precision, calibration and backend; what TPE proposes again is answered from memory.
That is the strongest of the simple strategies of benchmarks/exhaustive; telling TPE of every variant made it
weaker there. A variant is scored on validation, and the median of 300 runs timed.

    python plain_optuna.py --job DIR --into DIR --seconds 180 --seed 0
"""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import TrialState
from peer_job import Job, TimeUpError, Wanted, load_job, needed, options_of, to_onnx, trained

RUNS, WARM_UP = 300, 30
IN_A_ROW = 8
"""After so many proposals of what is known, a model that is not trained yet is drawn at random."""
ORT_METHODS = {"minmax": "MinMax", "percentile": "Percentile"}
FLOAT_ENDS = [
    {"regex": ".*", "operation": end, "algorithm_key": "no_quantize", "op_config": {}}
    for end in ("INPUT", "OUTPUT")
]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """How a trained model is deployed."""

    backend: str
    precision: str
    calibration: str = ""

    @property
    def choice(self) -> dict[str, Any]:
        ranges = {"calibration": self.calibration} if self.calibration else {}
        return {"backend": self.backend, "precision": self.precision, **ranges}


def variants(job: Job) -> Iterator[Variant]:
    """Those that the script knows: LiteRT's quantizer has the least and the largest value alone."""
    for backend in job.space.backend:
        for precision in job.space.precision:
            if precision != "int8" or backend != "ort":
                yield Variant(backend=backend, precision=precision)
                continue
            for method in job.space.calibration:
                yield Variant(backend=backend, precision=precision, calibration=method)


def suggest(trial: optuna.Trial, job: Job) -> tuple[Wanted, Variant]:
    """One point of the job's space."""
    pick, space = trial.suggest_categorical, job.space
    student = ()
    if pick("model", ["student", "teacher"]) == "student":
        student = tuple((axis, pick(axis, list(values))) for axis, values in space.student.items())
    sparsity, heat, weight = pick("sparsity", list(space.sparsity)), space.temperature[0], space.weight[0]
    if student or sparsity != "dense":
        heat, weight = pick("temperature", list(space.temperature)), pick("weight", list(space.weight))
    wanted = Wanted(student=student, sparsity=sparsity, temperature=heat, weight=weight)
    backend, precision = pick("backend", list(space.backend)), pick("precision", list(space.precision))
    ranged = backend == "ort" and precision == "int8"
    method = pick("calibration", list(space.calibration)) if ranged else ""
    return wanted, Variant(backend=backend, precision=precision, calibration=method)


def export_ort(model: torch.nn.Module, job: Job, path: Path) -> None:
    """The documented way begins with pre-processing, which fuses as well."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    raw = path.with_suffix(".raw")
    to_onnx(model, job, raw)
    quant_pre_process(str(raw), str(path), skip_symbolic_shape=True)


def quantize_ort(source: Path, job: Job, variant: Variant, path: Path) -> None:
    """The documented way: reduced range, unsigned weights for dynamic convolutions."""
    from onnxruntime import quantization

    if variant.precision == "int8-dynamic":
        quantization.quantize_dynamic(str(source), str(path), weight_type=quantization.QuantType.QUInt8)
        return

    class Reader(quantization.CalibrationDataReader):
        feeds = iter(job.calibration)

        def get_next(self):
            return next(self.feeds, None)

    method = getattr(quantization.CalibrationMethod, ORT_METHODS[variant.calibration])
    settings = {"quant_format": quantization.QuantFormat.QDQ, "per_channel": True, "reduce_range": True}
    quantization.quantize_static(str(source), str(path), Reader(), calibrate_method=method, **settings)


def export_tflite(model: torch.nn.Module, job: Job, path: Path) -> None:
    import litert_torch

    litert_torch.convert(model, job.example).export(str(path))


def narrow(values: np.ndarray) -> np.ndarray:
    """As the exported model takes them: token numbers of 64 bits become 32 there."""
    return values.astype(np.int32) if values.dtype == np.int64 else values


def quantize_tflite(source: Path, job: Job, variant: Variant, path: Path) -> None:
    from ai_edge_quantizer import quantizer, recipe

    static = variant.precision == "int8"
    rules = recipe.static_wi8_ai8() if static else recipe.dynamic_wi8_afp32()
    tool = quantizer.Quantizer(str(source), [*rules, *FLOAT_ENDS])
    feeds = [
        {f"args_{n}": narrow(values) for n, values in enumerate(feed.values())} for feed in job.calibration
    ]
    ranges = tool.calibrate({"serving_default": feeds}) if static else None
    path.write_bytes(tool.quantize(ranges).quantized_model)


EXPORT = {"ort": export_ort, "tflite": export_tflite}
QUANTIZE = {"ort": quantize_ort, "tflite": quantize_tflite}
SUFFIX = {"ort": ".onnx", "tflite": ".tflite"}


def session(backend: str, path: Path) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """A function from one sample of each input to the outputs, on one thread."""
    if backend == "ort":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        run = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run
        return lambda feed: run(None, feed)[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    into = sorted(interpreter.get_input_details(), key=lambda one: one["name"])
    out = interpreter.get_output_details()[0]["index"]

    def run_tflite(feed):
        for one, values in zip(into, feed.values(), strict=True):
            interpreter.set_tensor(one["index"], values.astype(one["dtype"], copy=False))
        interpreter.invoke()
        return interpreter.get_tensor(out)

    return run_tflite


def measure(backend: str, path: Path, split: Any) -> tuple[float, float]:
    """Accuracy over a split, and the median of 300 runs in milliseconds."""
    run = session(backend, path)
    rows = range(len(split.labels))
    feeds = [{name: values[row : row + 1] for name, values in split.inputs.items()} for row in rows]
    told = [int(run(feed).argmax()) for feed in feeds]
    for _ in range(WARM_UP):
        run(feeds[0])
    times = []
    for _ in range(RUNS):
        before = time.perf_counter()
        run(feeds[0])
        times.append(time.perf_counter() - before)
    return float(np.mean(told == split.labels)), statistics.median(times) * 1000


class Script:
    """The search: what is trained and known, Optuna's study, and the log."""

    def __init__(self, job: Job, into: Path, began: float) -> None:
        self.job, self.into, self.began = job, into, began
        self.log = into / "candidates.jsonl"
        self.rng = random.Random(job.seed)
        self.known: dict[tuple[Wanted, Variant], dict[str, Any]] = {}
        self.tried: set[Wanted] = set()
        sampler = optuna.samplers.TPESampler(seed=job.seed)
        self.study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)

    def run(self) -> None:
        """Go on until the time is up or everything is known."""
        in_a_row = 0
        while time.time() < self.job.deadline:
            if in_a_row >= IN_A_ROW and not self.enqueue_untried():
                break
            trial = self.study.ask()
            wanted, variant = suggest(trial, self.job)
            in_a_row = in_a_row + 1 if wanted in self.tried else 0
            if wanted not in self.tried:
                self.everything_about(wanted)
            self.tell(trial, self.known[wanted, variant])

    def enqueue_untried(self) -> bool:
        left = [wanted for wanted in self.job.space.models() if wanted not in self.tried]
        if left:
            self.study.enqueue_trial({**self.rng.choice(left).choice, **next(variants(self.job)).choice})
        return bool(left)

    def everything_about(self, wanted: Wanted) -> None:
        """Train it and whatever it is made from; try every variant of both."""
        steps = needed(self.job, wanted) or [wanted]
        for step in steps:
            before = time.perf_counter()
            model = trained(self.job, step)
            if step.trained:
                self.write({"trained": step.choice, "training_seconds": time.perf_counter() - before})
            self.tried.add(step)
            folder = self.into / f"model{len(self.tried)}"
            folder.mkdir()
            for variant in variants(self.job):
                self.known[step, variant] = self.evaluate(model, step, variant, folder)

    def evaluate(
        self, model: torch.nn.Module, wanted: Wanted, variant: Variant, folder: Path
    ) -> dict[str, Any]:
        line: dict[str, Any] = {"choice": {**wanted.choice, **variant.choice}}
        if time.time() > self.job.deadline:
            raise TimeUpError
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # the converters' progress
                path = self.compiled(model, variant, folder)
            accuracy, latency_ms = measure(variant.backend, path, self.job.splits.validation)
            found = {"accuracy": accuracy, "latency_ms": latency_ms, "size_bytes": path.stat().st_size}
            line |= {"file": str(path), **found}
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {error}"[:500]
        self.write(line)
        return line

    def compiled(self, model: torch.nn.Module, variant: Variant, folder: Path) -> Path:
        backend, suffix = variant.backend, SUFFIX[variant.backend]
        source = folder / f"float{suffix}"
        if not source.is_file():
            EXPORT[backend](model, self.job, source)
        if variant.precision == "fp32":
            return source
        path = folder / f"{variant.precision}{variant.calibration}{suffix}"
        QUANTIZE[backend](source, self.job, variant, path)
        return path

    def write(self, line: dict[str, Any]) -> None:
        with self.log.open("a") as file:
            file.write(json.dumps({**line, "finished_s": time.time() - self.began}) + "\n")

    def tell(self, trial: optuna.Trial, line: dict[str, Any]) -> None:
        if "error" in line:
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, [line["accuracy"], line["latency_ms"], line["size_bytes"]])


def main() -> None:
    options = options_of(__doc__)
    into = options.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    job = load_job(options.job, seed=options.seed, deadline=options.began + options.seconds)
    with contextlib.suppress(TimeUpError):
        Script(job, into, options.began).run()


if __name__ == "__main__":
    main()
